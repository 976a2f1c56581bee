"""``advrec course``: everything a new machine needs to be sure that the course works on it."""

from pathlib import Path

from advrec_teach import fetch
from advrec_teach.course import lessons, run, store

# What the notebooks are made from and compared with.
_TREES = ("lessons", "notebooks", "solutions")


def course(root: Path, *, workers: int | None = None, timeout: float | None = None) -> int:
    """Fetch the data of the lessons, check the notebooks and execute every solved lesson in both tracks.

    What has not changed since it went well is not done again, so that a second call takes a second.

    Parameters
    ----------
    root
        The checkout.
    workers, timeout
        As for :func:`advrec_teach.course.run.run`.

    Returns
    -------
    int
        0 if the notebooks are those of the lessons and every claim held, else 1.

    Raises
    ------
    CourseError
        If data can't be fetched or a lesson is malformed.
    """
    memory = root / "build" / "course.json"
    stamp = f"{store.package_stamp()} {store.tree_stamp(root, _TREES)}"
    checked = store.read_json(memory)
    if not isinstance(checked, dict) or checked.get("stamp") != stamp:
        checked = _check(root, stamp)
        store.write(memory, store.dumps(checked))
    if checked["data"]:
        fetch.fetch(checked["data"])
    for line in checked["differing"]:
        print(line)
    code = run.run(root, solved=True, resume=True, workers=workers, timeout=timeout)
    return 1 if checked["differing"] else code


def _check(root: Path, stamp: str) -> dict:
    """Compare the committed notebooks with the lessons and list the data that the lessons load."""
    # Reading lessons takes jupytext, which takes seconds to import.
    from advrec_teach.course import build

    names = {name for path in lessons.find(root) for name in lessons.read(path).data}
    report = build.build(root, check=True)
    return {"stamp": stamp, "data": sorted(names), "differing": [*report.differing, *report.stale_solutions]}
