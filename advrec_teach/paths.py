"""Where the course keeps its files, in a checkout and in an installed wheel."""

import os
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def repository() -> Path | None:
    """Return the checkout that this package runs from, or None for an installed wheel."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "lessons").is_dir() else None


def data_dir() -> Path:
    """Return the folder that holds the data: $ADVREC_DATA, the checkout's data/, or the user's cache."""
    if chosen := os.environ.get("ADVREC_DATA"):
        return Path(chosen).expanduser()
    if root := repository():
        return root / "data"
    import platformdirs

    return Path(platformdirs.user_cache_dir("advrec_teach")) / "data"


def state_dir() -> Path:
    """Return the folder for a learner's progress: $ADVREC_STATE or the user's state folder."""
    if chosen := os.environ.get("ADVREC_STATE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_state_dir("advrec_teach"))


def bands_dir() -> Path:
    """Return the folder of the measured bands of all claims."""
    root = repository()
    return root / "lessons" / "bands" if root else _PACKAGE / "_bands"


def sources_file() -> Path:
    """Return the list of data sources with their checksums."""
    root = repository()
    return root / "data" / "sources.toml" if root else _PACKAGE / "_sources.toml"
