"""Turn a lesson into a track's notebook, solved or for the learner.

nbconvert drops the other track's cells, nbgrader empties the solution regions. The
rest of this module is what neither does: stubs that leave a notebook runnable, the
head of the notebook, the Colab cell, pictures of diagrams, and ids that depend on
nothing but the content, so that building twice gives the same bytes.
"""

import hashlib
from typing import TYPE_CHECKING

from advrec_teach.course import colab, diagrams
from advrec_teach.course.lessons import Lesson, regions
from advrec_teach.course.stubs import STUB, named_stubs
from advrec_teach.tracks import TRACKS

if TYPE_CHECKING:
    from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

# Tags that only steer the build say nothing in a notebook of one track.
_BUILD_TAGS = {*TRACKS, "both-frameworks"}


def make(
    lesson: Lesson,
    track: str,
    place: colab.Home,
    *,
    solved: bool,
    others: dict[str, Lesson] | None = None,
) -> "NotebookNode":
    """Return a lesson's notebook, without outputs.

    Parameters
    ----------
    lesson
        A lesson that keeps the rules (``rules.check``).
    track
        ``"pytorch"`` or ``"tensorflow"``.
    place
        Where the course lives, for badges and the Colab cell.
    solved
        Keep the solutions, or clear them for the learner.
    others
        Lessons by number, to link the prerequisites.
    """
    from nbconvert.preprocessors import TagRemovePreprocessor
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    makers = {"code": new_code_cell, "markdown": new_markdown_cell}
    notebook = new_notebook(
        cells=[makers[cell.kind](cell.source, metadata={"tags": list(cell.tags)}) for cell in lesson.cells],
        metadata={
            "advrec": {
                "kind": "solved" if solved else "student",
                "lesson": lesson.number,
                "minutes": lesson.minutes,
                "title": lesson.title,
                "track": track,
            },
            "kernelspec": dict(KERNEL),
            "language_info": {"name": "python"},
        },
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    dropped = {name for name in TRACKS if name != track} | (set() if solved else {"solution"})
    notebook, _ = TagRemovePreprocessor(remove_cell_tags=dropped).preprocess(notebook, {})
    if not solved:
        notebook = _clear(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = diagrams.embed(lesson.path.parent, cell.source)
    _head(notebook, lesson, track, place, solved=solved, others=others or {})
    _tidy(notebook)
    return notebook


def _head(
    notebook: "NotebookNode",
    lesson: Lesson,
    track: str,
    place: colab.Home,
    *,
    solved: bool,
    others: dict[str, Lesson],
) -> None:
    """Put the badges at the end of the title's cell, and the Colab cell below it."""
    from nbformat.v4 import new_code_cell

    title = notebook.cells[0]
    masthead = colab.masthead(lesson, track, place, solved=solved, others=others)
    title.source = title.source.rstrip() + "\n\n" + masthead
    prepare = new_code_cell(
        colab.bootstrap(lesson, track, place),
        metadata={
            "cellView": "form",  # folds the code in Colab
            "jupyter": {"source_hidden": True},  # and in JupyterLab
            "tags": ["bootstrap", "nbval-ignore-output"],
        },
    )
    notebook.cells.insert(1, prepare)


def _tidy(notebook: "NotebookNode") -> None:
    """Leave only what every machine would write: tags, and ids made from the content."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag not in _BUILD_TAGS]
        if tags:
            cell.metadata["tags"] = tags
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def text(notebook: "NotebookNode") -> str:
    """Return the notebook as it is written to a file.

    Raises
    ------
    nbformat.ValidationError
        If the notebook is not valid in nbformat 4.5.
    """
    import nbformat

    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _clear(notebook: "NotebookNode") -> "NotebookNode":
    """Replace the solution regions by stubs that leave the notebook runnable."""
    from nbgrader.preprocessors import ClearSolutions

    full = [cell.source if cell.cell_type == "code" else "" for cell in notebook.cells]
    clearing = ClearSolutions(code_stub={"python": STUB}, enforce_metadata=False)
    notebook, _ = clearing.preprocess(notebook, {})
    for place, cell in enumerate(notebook.cells):
        if any(regions(full[place])):
            cell.source = named_stubs(cell.source, full[place], full[place + 1 :])
    return notebook
