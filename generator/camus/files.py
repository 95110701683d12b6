"""What lies in a folder, without the files of systems and file browsers."""

from pathlib import Path

# What Windows, macOS, Synology, ext4 and ZIP tools leave behind, in lower case
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "system volume information", "$recycle.bin", "icon\r",
                "__macosx", "@eadir", "lost+found", ".ds_store"}  # fmt: skip


def is_litter(name: str) -> bool:
    """Whether a system left this file or folder behind, so that nobody misses it."""
    return name.startswith("._") or name.casefold() in SYSTEM_FILES


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name, without hidden files and litter. Raises OSError."""
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over in a database and beside pairs."""
    return name.startswith(".") or is_litter(name)
