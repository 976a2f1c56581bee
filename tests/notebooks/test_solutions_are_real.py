"""The executed notebooks were executed, and comparing them with a new run means something.

nbval passes a notebook that was never run, and says nothing about a claim that it does not compare: both are
looked for here. That it catches a change is tried on copies with one change each.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from advrec_teach import claims
from advrec_teach.course.notebook import KERNEL
from advrec_teach.course.rules import MIN_CLAIMS
from advrec_teach.tracks import TRACKS

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted(path.stem for path in (ROOT / "lessons").glob("*.py"))
SOLUTIONS = [ROOT / "solutions" / track / f"{stem}.ipynb" for stem in LESSONS for track in TRACKS]


def faults(notebook: NotebookNode) -> list[str]:
    """Return what makes an executed notebook unfit to be compared with."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = []
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("not every code cell was executed, once and in order")
    compared = 0
    for number, cell in enumerate(cells, start=1):
        if any(output.output_type == "error" for output in cell.outputs):
            found.append(f"code cell {number} ended in an error")
        records = claims.read({"cells": [cell]})
        found += [f"the claim {record['name']!r} does not hold" for record in records if record["holds"] is not True]
        compared += bool(records) and "nbval-ignore-output" not in cell.metadata.get("tags", [])
        shown = [output for output in cell.outputs if claims.METADATA_KEY in output.get("metadata", {})]
        if not all(output.data.get("text/plain", "").strip() for output in shown):
            found.append(f"code cell {number} holds a claim without a text")
    if compared < MIN_CLAIMS:
        found.append(f"{compared} compared claim cells; {MIN_CLAIMS} are needed")
    return found


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_solution_was_executed_and_its_claims_held(path):
    assert path.is_file(), f"missing; run `advrec run {path.stem[:2]} --solutions`"
    assert faults(nbformat.read(path, as_version=4)) == []


def test_there_are_no_other_solutions():
    assert set((ROOT / "solutions").rglob("*.ipynb")) <= set(SOLUTIONS)


# The comparison itself


def run(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook, executed in a new kernel."""
    from nbclient import NotebookClient

    executed = copy.deepcopy(notebook)
    NotebookClient(executed, timeout=120, kernel_name="python3").execute()
    for cell in executed.cells:
        cell.metadata.pop("execution", None)
    return executed


@pytest.fixture(scope="module")
def executed() -> NotebookNode:
    """Give a small executed notebook that is fit to be compared with."""
    sources = [
        "from advrec_teach import claim\n\nnumbers = [3, 1, 2]",
        'claim("three numbers", len(numbers) == 3)',
        'claim("the largest is 3", max(numbers) == 3)',
        'claim("the smallest is 1", min(numbers) == 1)',
        "print(sorted(numbers))",
    ]
    cells = [new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
    return run(new_notebook(cells=cells, metadata={"kernelspec": dict(KERNEL)}))


def claim_text(notebook: NotebookNode, text: str) -> None:
    notebook.cells[2].outputs[0].data["text/plain"] = text


def printed(notebook: NotebookNode, text: str) -> None:
    notebook.cells[4].outputs[0].text = text


def markup(notebook: NotebookNode) -> None:
    data = notebook.cells[2].outputs[0].data
    data["text/html"] = data["text/html"].replace("largest", "smallest")


def never_run(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.execution_count = None
        cell.outputs = []


CHANGES = {
    "sound": lambda notebook: None,
    "another-claim": lambda notebook: claim_text(notebook, "✓ the largest is 4"),
    "failed-claim": lambda notebook: claim_text(notebook, "✗ the largest is 3: this did not hold in this run"),
    "markup": markup,
    "no-output": lambda notebook: notebook.cells[2].outputs.clear(),
    "one-more-output": lambda notebook: notebook.cells[0].outputs.append(notebook.cells[4].outputs[0]),
    "printed": lambda notebook: printed(notebook, "[1, 2, 4]\n"),
    "never-run": never_run,
}


def nbval(folder: Path) -> dict[str, bool]:
    """Compare all notebooks of a folder with a new run, strictly; tell by name which passed."""
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-rA", "-p", "no:cacheprovider", "--tb=no", "."]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    results: dict[str, bool] = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASSED", "FAILED"):
            name = rest.split(".ipynb")[0].split("/")[-1]
            results[name] = results.get(name, True) and word == "PASSED"
    assert set(results) == {path.stem for path in folder.glob("*.ipynb")}, done.stdout
    return results


@pytest.fixture(scope="module")
def verdicts(executed, tmp_path_factory) -> dict[str, bool]:
    folder = tmp_path_factory.mktemp("changed")
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, change in CHANGES.items():
        notebook = copy.deepcopy(executed)
        change(notebook)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return nbval(folder)


def test_the_sound_notebook_passes(executed, verdicts):
    assert verdicts["sound"]
    assert faults(executed) == []


@pytest.mark.parametrize("name", sorted(set(CHANGES) - {"sound", "never-run"}))
def test_a_changed_output_is_caught(verdicts, name):
    assert not verdicts[name]


def test_nbval_misses_what_was_never_run_and_the_check_here_does_not(executed, verdicts):
    """If nbval starts to catch this by itself, the check here may go."""
    assert verdicts["never-run"]
    notebook = copy.deepcopy(executed)
    never_run(notebook)
    assert "not every code cell was executed, once and in order" in faults(notebook)


def test_one_cell_that_was_not_run_is_found(executed):
    notebook = copy.deepcopy(executed)
    notebook.cells[3].execution_count = None
    assert faults(notebook) == ["not every code cell was executed, once and in order"]


def test_a_cell_that_was_run_again_is_found(executed):
    notebook = copy.deepcopy(executed)
    notebook.cells[3].execution_count = 9
    assert faults(notebook) == ["not every code cell was executed, once and in order"]


def test_a_claim_that_is_not_compared_does_not_count(executed):
    notebook = copy.deepcopy(executed)
    notebook.cells[2].metadata["tags"] = ["nbval-ignore-output"]
    assert faults(notebook) == ["2 compared claim cells; 3 are needed"]


def test_a_failed_claim_is_found(executed):
    notebook = copy.deepcopy(executed)
    notebook.cells[2].outputs[0].metadata[claims.METADATA_KEY]["holds"] = False
    assert faults(notebook) == ["the claim 'the largest is 3' does not hold"]


def test_an_error_is_found(executed):
    notebook = copy.deepcopy(executed)
    notebook.cells[0].outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]
    assert faults(notebook) == ["code cell 1 ended in an error"]


@pytest.mark.skipif(not SOLUTIONS, reason="there is no lesson")
def test_a_changed_claim_of_a_real_solution_is_caught(tmp_path):
    """Make a solution's claims again, of the values that it stored, and change the first text."""
    path = SOLUTIONS[0]
    stored = nbformat.read(path, as_version=4)
    outputs = [
        output
        for cell in stored.cells
        for output in cell.get("outputs", [])
        if claims.read({"cells": [{"outputs": [output]}]})
    ]
    begin = f"session.begin({path.stem[:2]!r}, {path.parent.name!r}, 'quick', 0)"
    cells = [new_code_cell(f"from advrec_teach import claim, session\n\nrunning = {begin}", execution_count=1)]
    for count, output in enumerate(outputs[: MIN_CLAIMS + 2], start=2):
        record = output.metadata[claims.METADATA_KEY]
        source = f"claim({record['name']!r}, {record['value']!r})"
        cells.append(new_code_cell(source, execution_count=count, outputs=[output]))
    assert len(cells) > MIN_CLAIMS
    notebook = new_notebook(cells=cells, metadata={"kernelspec": dict(KERNEL)})
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    nbformat.write(notebook, tmp_path / "stored.ipynb")
    changed = copy.deepcopy(notebook)
    changed.cells[1].outputs[0].data["text/plain"] = "✓ something else"
    nbformat.write(changed, tmp_path / "changed.ipynb")
    verdicts = nbval(tmp_path)
    assert verdicts["stored"]
    assert not verdicts["changed"]
