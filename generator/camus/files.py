"""What lies in a folder, without the files of systems and file browsers."""

import re
from pathlib import Path

# Names with a dot in front, and what Windows, macOS, Synology, ext4 and ZIP tools leave behind
SYSTEM_FILES = re.compile(
    r"\..*|Thumbs\.db|desktop\.ini|System Volume Information|\$RECYCLE\.BIN|Icon\r|__MACOSX"
    r"|@eaDir|lost\+found",
    re.IGNORECASE,
)


def is_system_file(path: Path) -> bool:
    """Whether a file or folder of this name is passed over wherever it lies."""
    return bool(SYSTEM_FILES.fullmatch(path.name))


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name. Raises OSError if the folder cannot be listed."""
    return sorted(path for path in folder.iterdir() if not is_system_file(path))


def files_below(folder: Path) -> list[Path]:
    """All files and links below a folder. Raises OSError like entries."""
    found = []
    for path in entries(folder):
        is_folder = path.is_dir() and not path.is_symlink()
        found += files_below(path) if is_folder else [path]
    return found
