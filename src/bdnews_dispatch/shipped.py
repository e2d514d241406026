"""Files that ship with the code: templates/ and config/, in a checkout beside src/, in a wheel inside the package."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The folder `templates` or `config`, wherever this installation keeps it."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.is_dir() else _PACKAGE.parents[1] / name
