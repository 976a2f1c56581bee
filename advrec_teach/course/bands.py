"""``advrec bands``: measure the bands of a lesson's figures over seeds, and that its directions hold."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from advrec_teach import claims
from advrec_teach.course import console, jobs, lessons, points, store
from advrec_teach.course.jobs import Job
from advrec_teach.errors import CourseError


class Refused(CourseError):
    """A lesson's claims can't become bands; the message says which claim, and at which seed."""


def bands(
    root: Path,
    wanted: Iterable[str],
    *,
    seeds: int = claims.MINIMUM_SEEDS,
    track: str | None = None,
    profile: str = "quick",
    workers: int | None = None,
    timeout: float | None = None,
    fresh: bool = False,
    cluster: str | None = None,
) -> int:
    """Execute solved lessons at SEED = 0 ... seeds - 1 and write ``lessons/bands/NN.json``.

    The entries of other tracks and profiles stay. Nothing is written for a lesson and track in which
    a seed failed or a direction did not hold at every seed.

    Parameters
    ----------
    root
        The checkout.
    wanted
        Lessons by number or name.
    seeds
        How many, at least five.
    track
        One track, or None for both.
    profile
        ``"quick"`` or ``"full"``; the profile smoke is never judged.
    workers, timeout, cluster
        As for :func:`advrec_teach.course.run.run`.
    fresh
        Execute again what an earlier call has done.

    Returns
    -------
    int
        0 if bands were written for every lesson and track, else 1.

    Raises
    ------
    CourseError
        If the request makes no sense.
    """
    if seeds < claims.MINIMUM_SEEDS:
        raise CourseError(f"--seeds is {seeds}; a band needs at least {claims.MINIMUM_SEEDS}.")
    if jobs.check_profile(value=profile) == "smoke":
        raise CourseError("The profile smoke is never judged and has no bands; choose quick or full.")
    tracks = jobs.check_tracks(track)
    work = [
        Job(
            path.stem,
            name,
            profile,
            lesson_file=str(path),
            parameters={"PROFILE": profile, "SEED": seed},
            limit=jobs.check_limit(timeout, profile),
        )
        for path in lessons.select(root, wanted)
        for name in tracks
        for seed in range(seeds)
    ]
    results = points.collect(root, work, root / "build" / "bands", workers=workers, cluster=cluster, fresh=fresh)
    refused = 0
    for start in range(0, len(results), seeds):
        part = results[start : start + seeds]
        job = part[0][0]
        print(f"\n{job.name} {job.track} {profile}, {seeds} seeds")
        try:
            found = judge(part)
        except Refused as error:
            refused += 1
            print(f"  refused: {error}")
            continue
        for line in table(found).splitlines():
            print(f"  {line}")
        save(root, job, found)
    return 1 if refused else 0


def judge(results: Sequence[points.Result]) -> dict[str, Any]:
    """Return the band of each figure from one lesson's executions, one a seed.

    Parameters
    ----------
    results
        Jobs, each with its SEED, and their outcomes.

    Raises
    ------
    Refused
        If an execution failed, the claims are not the same at every seed, a direction
        did not hold at some seed, or a figure was not finite.
    """
    problems = [
        f"SEED {job.parameters['SEED']}: {outcome.status}: {outcome.message}"
        for job, outcome in results
        if not outcome.ok
    ]
    if problems:
        raise Refused("; ".join(problems))
    seeds = [job.parameters["SEED"] for job, _ in results]
    columns = [outcome.claims for _, outcome in results]
    signature = [(claim["name"], claim["kind"]) for claim in columns[0]]
    names = [name for name, _ in signature]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"two claims have the same name: {'; '.join(twice)}")
    for seed, column in zip(seeds, columns, strict=True):
        other = [(claim["name"], claim["kind"]) for claim in column]
        if other != signature:
            odd = sorted({name for name, _ in set(other) ^ set(signature)}) or names
            raise Refused(f"the claims at SEED {seed} differ from those at SEED {seeds[0]}: {'; '.join(odd)}")
    found: dict[str, Any] = {}
    for row, (name, kind) in enumerate(signature):
        values = [column[row]["value"] for column in columns]
        if kind == "direction":
            failed = [str(seed) for seed, value in zip(seeds, values, strict=True) if value is not True]
            if failed:
                problems.append(f"{name!r} did not hold at SEED {', '.join(failed)}")
            continue
        missing = [str(seed) for seed, value in zip(seeds, values, strict=True) if value is None]
        if missing:
            problems.append(f"{name!r} was not finite at SEED {', '.join(missing)}")
        else:
            found[name] = {**claims.make_band(values), "values": values}
    if problems:
        raise Refused("; ".join(problems))
    return found


def table(found: dict[str, Any]) -> str:
    """Return mean, standard deviation and band of each figure as text."""
    rows = [("figure", "mean", "sd", "low", "high")]
    for name, band in found.items():
        digits = band["digits"]
        rows.append(
            (
                name,
                f"{band['mean']:.{digits + 1}f}",
                f"{band['sd']:.2g}",
                f"{band['low']:.{digits}f}",
                f"{band['high']:.{digits}f}",
            )
        )
    return console.align(rows, right=(1, 2, 3, 4)) if found else "no figure; every direction held"


def save(root: Path, job: Job, found: dict[str, Any]) -> None:
    """Put one track's and profile's bands into the lesson's file, beside the others."""
    path = root / "lessons" / "bands" / f"{job.lesson}.json"
    stored = store.read_json(path)
    if path.is_file() and not isinstance(stored, dict):
        raise CourseError(f"{path.relative_to(root)} is damaged; take it back from git first.")
    everything: dict[str, Any] = stored or {}
    everything.setdefault(job.track, {})[job.profile] = found
    ordered = {name: dict(sorted(everything[name].items())) for name in sorted(everything)}
    store.write(path, store.dumps(ordered))
