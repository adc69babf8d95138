"""Names that a user gives to a workload or a recipe: they end in reports, file names and terminals."""

from pathlib import Path

LONGEST_NAME = 100


def name_of_file(path: Path) -> str:
    """The file's name without its ending; a byte that is not UTF-8 becomes a question mark."""
    return path.stem.encode("utf-8", "replace").decode("utf-8")


def fault_of_name(name: str) -> str | None:
    """What is wrong with a name, or None: it must be printable, not blank and at most 100 characters long."""
    if not name.strip():
        return "is empty"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters, at most {LONGEST_NAME} are allowed"
    return None if name.isprintable() else f"{name!a} holds unprintable characters"
