"""What runs leave under ``build/``, written in one step each, and when it still holds."""

import hashlib
import json
import os
import platform
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import advrec_teach
from advrec_teach import paths
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError


def write(path: Path, text: str) -> None:
    """Write a text file in one step: readers see the old content or the new, never a part.

    Raises
    ------
    CourseError
        If the folder can't be written or the disk is full.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise CourseError(f"{path} can't be written: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


@cache
def _umask() -> int:
    """Return the process's mask of file modes; mkstemp makes files that only the owner reads."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def dumps(value: Any) -> str:
    """Return JSON that diffs line by line."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None if it is not there or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def folder(root: Path, job: Job) -> Path:
    """Return the folder of a job's executed copy, ``build/run/<profile>/<form>/<track>/``."""
    return root / "build" / "run" / job.profile / job.form / job.track


def save(root: Path, job: Job, outcome: Outcome) -> None:
    """Write executed copy, HTML page and record of a job; the record, which counts, comes last."""
    place = folder(root, job)
    page = place / f"{job.name}.html"
    if outcome.notebook is not None:
        write(place / f"{job.name}.ipynb", outcome.notebook)
    if outcome.page is not None:
        write(page, outcome.page)
    else:
        page.unlink(missing_ok=True)  # it would belong to an earlier run
    write(place / f"{job.name}.json", dumps(record(job, outcome)))


def record(job: Job, outcome: Outcome) -> dict[str, Any]:
    """Return what is kept of a job: what it was, how it went, and how long it took."""
    result = asdict(outcome)
    del result["notebook"], result["page"]
    return {
        "lesson": job.name,
        "track": job.track,
        "profile": job.profile,
        "form": job.form,
        "parameters": job.parameters,
        "threads": job.environment.get("OMP_NUM_THREADS"),
        "key": job.key,
        **result,
    }


def outcome_of(stored: dict[str, Any]) -> Outcome:
    """Return the outcome that ``record`` described, without its notebook."""
    names = ("status", "message", "seconds", "peak_mb", "claims")
    return Outcome(**{name: stored[name] for name in names})


def kept(root: Path, job: Job) -> Outcome | None:
    """Return the outcome of an earlier run of the very same job that went well, else None."""
    place = folder(root, job)
    stored = read_json(place / f"{job.name}.json")
    if not isinstance(stored, dict) or not job.key or stored.get("key") != job.key:
        return None
    if not (place / f"{job.name}.ipynb").is_file() or (job.html and not (place / f"{job.name}.html").is_file()):
        return None
    outcome = outcome_of(stored)
    return outcome if outcome.ok else None


def key(root: Path, source: bytes, job: Job) -> str:
    """Return the hash of all that decides a job's result.

    That is the notebook's or the lesson's text, its claims' bands, its parameters, how
    claims are judged, this package, the data, the pins and what is installed.
    """
    bands = root / "lessons" / "bands" / f"{job.lesson}.json"
    parts = [
        source,
        bands.read_bytes() if bands.is_file() else b"",
        json.dumps(
            [job.name, job.track, job.profile, job.form, job.parameters, _judging(job)], sort_keys=True
        ).encode(),
        *(stamp.encode() for stamp in (package_stamp(), data_stamp(), pins_stamp(root))),
    ]
    return _hash(*parts)


def _judging(job: Job) -> list[str | None]:
    return [job.environment.get(name) for name in ("ADVREC_CLAIMS", "ADVREC_STRICT")]


def tree_stamp(root: Path, folders: Iterable[str]) -> str:
    """Return the hash of every file below some folders of the checkout."""
    files = [path for name in folders for path in sorted((root / name).rglob("*")) if path.is_file()]
    return _hash(*(part for path in files for part in (path.relative_to(root).as_posix().encode(), path.read_bytes())))


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:32]


@cache
def package_stamp() -> str:
    """Return the hash of this package's files."""
    home = Path(advrec_teach.__file__).parent
    files = sorted(
        path
        for path in home.rglob("*")
        if path.is_file() and path.suffix in (".py", ".json") and "__pycache__" not in path.parts
    )
    return _hash(*(part for path in files for part in (path.relative_to(home).as_posix().encode(), path.read_bytes())))


@cache
def data_stamp() -> str:
    """Return the hash of what data is there, complete and checked, under which entry of the list."""
    from advrec_teach import fetch

    absent = set(fetch.missing())
    there = [f"{name} {source.mark}" for name, source in fetch.sources().items() if name not in absent]
    return _hash("\n".join([str(paths.data_dir()), *there]).encode())


def pins_stamp(root: Path) -> str:
    """Return the hash of the pinned versions, the installed ones and the interpreter."""
    pins = root / "constraints.txt"
    # The folders' names tell name and version of every distribution, without opening one.
    installed = sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
    return _hash(
        pins.read_bytes() if pins.is_file() else b"",
        "\n".join(installed).encode(),
        f"{sys.version} {platform.machine()}".encode(),
    )
