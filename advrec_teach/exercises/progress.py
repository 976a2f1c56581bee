"""A learner's progress: one small JSON file on this machine, and nowhere else."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from advrec_teach import paths

_FRESH = {"status": "not attempted", "attempts": 0, "hints": 0, "solution_seen": False}
# Records of this kernel that the file did not take, such as those of a read-only home folder.
_unsaved: dict[tuple[str, str], dict[str, Any]] = {}


def progress_file() -> Path:
    """Return the path of the progress file."""
    return paths.state_dir() / "progress.json"


def progress(track: str | None = None) -> dict[str, Any]:
    """Return what is recorded, ``{track: {exercise id: record}}`` or one track's part.

    A record holds ``status`` ("not attempted", "not yet" or "correct"), ``attempts``,
    ``hints`` (how many were shown) and ``solution_seen``. A file that can't be read counts
    as empty, and so does a part of it that is not what this module writes.
    """
    try:
        stored = json.loads(progress_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = {}
    tracks = stored.items() if isinstance(stored, dict) else ()
    found = {name: _records(part) for name, part in tracks if isinstance(part, dict)}
    for (name, identifier), record in _unsaved.items():
        found.setdefault(name, {})[identifier] = record
    return found if track is None else found.get(track, {})


def _records(part: dict[str, Any]) -> dict[str, Any]:
    """Return the records that hold every field in its type."""
    return {
        identifier: record
        for identifier, record in part.items()
        if isinstance(record, dict) and all(type(record.get(key)) is type(value) for key, value in _FRESH.items())
    }


def record_of(track: str, identifier: str) -> dict[str, Any]:
    """Return the record of one exercise, fresh when there is none."""
    return {**_FRESH, **progress(track).get(identifier, {})}


def update(track: str, identifier: str, **changes: Any) -> dict[str, Any]:
    """Change one exercise's record and return it.

    The file is replaced in one step under a lock, so that two notebooks can write at
    once. Where the folder can't be written the record lasts as long as the kernel.
    """
    from filelock import FileLock

    path = progress_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=5):
            everything = progress()
            record = {**_FRESH, **everything.get(track, {}).get(identifier, {}), **changes}
            everything.setdefault(track, {})[identifier] = record
            _replace(path, json.dumps(everything, indent=1, sort_keys=True))
        _unsaved.clear()  # they were part of what was just written
    except (OSError, NotImplementedError):
        record = {**record_of(track, identifier), **changes}
        _unsaved[track, identifier] = record
    return record


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".progress-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
