"""``solutions/``: executed notebooks as they are committed, without what differs by machine."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from advrec_teach.course import jobs, report, store
from advrec_teach.course.jobs import Job, Outcome


def path_of(root: Path, job: Job) -> Path:
    """Return where a job's solution is kept, ``solutions/<track>/NN_name.ipynb``."""
    return root / "solutions" / job.track / f"{job.name}.ipynb"


def is_stored(root: Path, job: Job) -> bool:
    """Tell whether ``solutions/`` holds what this job's executed copy gives."""
    try:
        executed = (store.folder(root, job) / f"{job.name}.ipynb").read_text(encoding="utf-8")
        return path_of(root, job).read_text(encoding="utf-8") == clean(executed)
    except (OSError, ValueError):
        return False


def put(root: Path, job: Job, outcome: Outcome) -> Outcome:
    """Write an executed notebook to ``solutions/`` if every claim held, and its cost to the table.

    Returns
    -------
    Outcome
        The same, or a failed one if a claim was not judged: what is committed has to
        show that its claims held.
    """
    assert outcome.notebook is not None
    open_claims = [claim["name"] for claim in outcome.claims if claim["holds"] is not True]
    if open_claims:
        message = f"solutions/ was left as it is: not judged: {'; '.join(open_claims)}"
        return replace(outcome, status=jobs.CLAIM, message=message)
    store.write(path_of(root, job), clean(outcome.notebook))
    report.note(root, job, outcome)
    return outcome


def clean(executed: str) -> str:
    """Return an executed notebook without papermill's paths and clocks and the kernel's exact version.

    Sources, outputs and execution counts stay.

    Parameters
    ----------
    executed
        Text of the notebook.
    """
    notebook: dict[str, Any] = json.loads(executed)
    metadata = notebook["metadata"]
    metadata.pop("papermill", None)
    if "language_info" in metadata:
        metadata["language_info"] = {"name": metadata["language_info"].get("name", "python")}
    for cell in notebook["cells"]:
        for name in ("papermill", "execution"):
            cell["metadata"].pop(name, None)
        if not cell["metadata"].get("tags", True):
            del cell["metadata"]["tags"]  # papermill adds an empty list
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
