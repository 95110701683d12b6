"""What lies in a folder, without the files of systems and file browsers."""

from pathlib import Path

# What Windows, macOS, Synology, ext4 and ZIP tools leave behind, in lower case
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "system volume information", "$recycle.bin", "icon\r",
                "__macosx", "@eadir", "lost+found"}  # fmt: skip


def is_system_file(name: str) -> bool:
    """Whether a file or folder of this name is passed over wherever it lies."""
    return name.startswith(".") or name.casefold() in SYSTEM_FILES


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name. Raises OSError if the folder cannot be listed."""
    return sorted(path for path in folder.iterdir() if not is_system_file(path.name))
