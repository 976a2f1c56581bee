"""Lessons become notebooks: what is made, what is refused, and that nothing is left half-done."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from small_lesson import LESSON, registry

from advrec_teach.course import build as builder
from advrec_teach.course import lessons, rules
from advrec_teach.course.build import build, solved_notebook, student_notebook
from advrec_teach.course.lessons import LessonError
from advrec_teach.course.notebook import KERNEL
from advrec_teach.course.stubs import STUB
from advrec_teach.errors import CourseError
from advrec_teach.tracks import TRACKS

ROOT = Path(__file__).resolve().parents[2]
NAME = "95_small_lesson.ipynb"
REAL = sorted((ROOT / "lessons").glob("*.py"))


def code(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "lessons" not in path.relative_to(root).parts
    }


# What is made


@pytest.mark.parametrize("track", TRACKS)
def test_a_notebook_holds_its_own_track_only(checkout, track):
    solved = code(solved_notebook(checkout.lesson, track, registry=registry))
    own, other = ("torch.sign", "tf.sign") if track == "pytorch" else ("tf.sign", "torch.sign")
    assert own in solved
    assert other not in solved
    for made in (solved_notebook, student_notebook):
        for cell in made(checkout.lesson, track, registry=registry).cells:
            assert not {*TRACKS, "both-frameworks"} & set(cell.metadata.get("tags", []))


@pytest.mark.parametrize("track", TRACKS)
def test_a_learner_gets_stubs_and_no_solution(checkout, track):
    notebook = student_notebook(checkout.lesson, track, registry=registry)
    text = code(notebook)
    for hidden in ("sign(x)", "eps * direction", "scratch", "abs(value)", "SOLUTION"):
        assert hidden not in text
    assert text.count(STUB) == 3
    assert "solution" not in {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    # The bug hunt keeps its bug, and the docstring stays.
    assert "return sum(values)" in text
    assert "Move every coordinate of x by eps" in text


@pytest.mark.parametrize("track", TRACKS)
def test_a_solved_notebook_keeps_everything_of_its_track(checkout, track):
    notebook = solved_notebook(checkout.lesson, track, registry=registry)
    text = code(notebook)
    for shown in ("sign(x)", "eps * direction", "scratch[1]", "abs(value)"):
        assert shown in text
    assert STUB not in text


def test_the_stubs_leave_the_notebook_runnable(checkout):
    """Run the student notebook's code with a stand-in for the checks."""
    seen = {}

    def exercise(identifier):
        def check(answer):
            seen[identifier] = answer(2.0, eps=0.5) if identifier == "95.1" else answer
            return len if identifier == "95.3" else answer

        return SimpleNamespace(check=check)

    notebook = student_notebook(checkout.lesson, "pytorch", registry=registry)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    space = {"exercise": exercise, "claim": lambda name, value: None}
    for source in cells[2:]:
        exec(source, space)
    assert seen["95.1"] is Ellipsis
    assert seen["95.2"] is Ellipsis


def test_only_names_that_are_read_later_are_bound_by_a_stub(checkout):
    text = code(student_notebook(checkout.lesson, "pytorch", registry=registry))
    assert f"prediction = {STUB}" in text
    assert "scratch" not in text


def test_a_region_that_binds_nothing_needed_leaves_the_bare_stub(checkout):
    body = "    # BEGIN SOLUTION\n    for value in [1]:\n        total = abs(x)\n    return total\n    # END SOLUTION\n"
    old = '"""Return the sum of the magnitudes."""\n    return sum(values)\n'
    checkout.change(
        "def length(values):\n    " + old,
        'def length(x, total=0):\n    """Return the sum of the magnitudes."""\n' + body,
    )
    text = code(student_notebook(checkout.lesson, "pytorch", registry=registry))
    assert f'"""Return the sum of the magnitudes."""\n    {STUB}\n' in text + "\n"


def test_the_head_of_a_notebook(checkout):
    first, second = student_notebook(checkout.lesson, "tensorflow", registry=registry).cells[:2]
    opening = "# 95 · How far is one step?\n\nYou will find out how far one step goes.\n\n[![Open in Colab]"
    assert first.source.startswith(opening)
    assert "TensorFlow track ([PyTorch track](../pytorch/95_small_lesson.ipynb))" in first.source
    assert first.source.endswith("about 7 minutes")
    assert second.metadata.tags == ["bootstrap", "nbval-ignore-output"]


@pytest.mark.parametrize("solved", [False, True])
def test_a_notebook_is_valid_and_holds_nothing_local(checkout, solved):
    make = solved_notebook if solved else student_notebook
    notebook = make(checkout.lesson, "pytorch", registry=registry)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec == KERNEL
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.metadata.advrec["kind"] == ("solved" if solved else "student")
    assert str(checkout.root) not in nbformat.writes(notebook)
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "cellView", "jupyter"}
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert cell.outputs == []


def test_cell_ids_follow_the_content(checkout):
    text = LESSON + "\n# %%\nprint(1)\n\n# %%\nprint(1)\n"
    checkout.write(text)
    before = [cell.id for cell in student_notebook(checkout.lesson, "pytorch", registry=registry).cells]
    assert len(set(before)) == len(before)
    assert before[-1] == f"{before[-2]}-2"
    checkout.write(text.replace("print(size)", "print(size, size)"))
    after = [cell.id for cell in student_notebook(checkout.lesson, "pytorch", registry=registry).cells]
    assert [one == other for one, other in zip(before, after, strict=True)].count(False) == 1


def test_two_builds_in_two_processes_give_the_same_bytes(checkout):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from small_lesson import registry; from advrec_teach.course.build import build\n"
        "build(Path(sys.argv[1]), registry=registry)\n"
    )
    found = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"}
        here = str(Path(__file__).parent)
        subprocess.run([sys.executable, "-c", program, checkout.root, here], check=True, env=environment, cwd="/")
        found.append(files(checkout.root))
        for path in (checkout.root / "notebooks").rglob("*.ipynb"):
            path.unlink()
    assert found[0] == found[1]
    assert len([name for name in found[0] if name.endswith(".ipynb")]) == 2


def test_the_solutions_are_cut_from_the_lesson(checkout):
    build(checkout.root, registry=registry)
    stored = json.loads((checkout.root / builder.SOLUTIONS).read_text())
    assert list(stored) == ["95.1", "95.2", "95.3"]
    assert stored["95.1"]["pytorch"] == "direction = torch.sign(x)\n\nmoved = eps * direction"
    assert stored["95.1"]["tensorflow"] == "direction = tf.sign(x)\n\nmoved = eps * direction"
    assert stored["95.3"]["pytorch"].startswith("def length(values):")
    assert "abs(value)" in stored["95.3"]["tensorflow"]


# Building and checking


def test_a_second_build_writes_nothing(checkout):
    first = build(checkout.root, registry=registry)
    assert len(first.written) == 3
    stamps = {path: path.stat().st_mtime_ns for path in (checkout.root / "notebooks").rglob("*.ipynb")}
    second = build(checkout.root, registry=registry)
    assert second.written == []
    assert len(second.unchanged) == 3
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def execute(checkout) -> None:
    """Put solved notebooks, as if executed, where the executed ones belong."""
    for track in TRACKS:
        notebook = solved_notebook(checkout.lesson, track, registry=registry)
        for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
            cell.execution_count = count
            cell.metadata["papermill"] = {"duration": 1.0}
        path = checkout.root / "solutions" / track / NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


def test_a_check_finds_nothing_after_a_build(checkout):
    build(checkout.root, registry=registry)
    execute(checkout)
    report = build(checkout.root, check=True, registry=registry)
    assert report.ok
    assert report.lines() == ["1 lesson: notebooks and solutions are up to date."]


def test_a_check_names_what_differs_and_writes_nothing(checkout):
    build(checkout.root, registry=registry)
    execute(checkout)
    path = checkout.root / "notebooks" / "tensorflow" / NAME
    path.write_text(path.read_text().replace("Write the step.", "Write a step."))
    before = files(checkout.root)
    report = build(checkout.root, check=True, registry=registry)
    assert not report.ok
    assert report.lines() == [f"notebooks/tensorflow/{NAME} differs from its lesson; run `advrec build`."]
    assert files(checkout.root) == before


def test_a_check_of_an_empty_checkout_names_everything_that_is_missing(checkout):
    report = build(checkout.root, check=True, registry=registry)
    assert not report.ok
    assert [line.split()[0] for line in report.lines()] == [
        f"notebooks/pytorch/{NAME}",
        f"notebooks/tensorflow/{NAME}",
        "advrec_teach/exercises/solutions.json",
        f"solutions/pytorch/{NAME}",
        f"solutions/tensorflow/{NAME}",
    ]
    assert files(checkout.root).keys() == {"pyproject.toml"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("abs(value) for", "abs(2 * value) for"),  # in a solution cell
        ("eps * direction", "eps * eps * direction"),
        ("Write the step.", "Write your step."),
        ('tags=["nbval-ignore-output"]\nprint', 'tags=["figure"]\nprint'),
    ],
)
def test_a_check_finds_executed_notebooks_of_another_text(checkout, old, new):
    execute(checkout)
    checkout.write(LESSON.replace(old, new))
    build(checkout.root, registry=registry)
    report = build(checkout.root, check=True, registry=registry)
    assert not report.ok
    assert report.differing == []
    assert len(report.stale_solutions) == 2
    assert "run `advrec run 95 --solutions`" in report.stale_solutions[0]


def test_a_damaged_executed_notebook_is_reported(checkout):
    build(checkout.root, registry=registry)
    execute(checkout)
    (checkout.root / "solutions" / "pytorch" / NAME).write_text('{"cells": [')
    report = build(checkout.root, check=True, registry=registry)
    assert len(report.stale_solutions) == 1
    assert "cannot be read" in report.stale_solutions[0]


def test_notebooks_whose_lesson_is_gone(checkout):
    build(checkout.root, registry=registry)
    execute(checkout)
    kept = checkout.root / "notebooks" / "pytorch" / "scratch.ipynb"
    kept.write_text("{}")
    checkout.lesson.rename(checkout.root / "lessons" / "95_new_name.py")
    old = {f"{folder}/{track}/{NAME}" for folder in ("notebooks", "solutions") for track in TRACKS}
    report = build(checkout.root, check=True, registry=registry)
    assert {line.split()[0] for line in report.differing if "no lesson any more" in line} == old
    # A build of some lessons does not judge the others.
    assert build(checkout.root, ["95"], registry=registry).removed == []
    assert set(build(checkout.root, registry=registry).removed) == old
    assert not any((checkout.root / name).exists() for name in old)
    assert kept.exists()


def test_one_lesson_of_several(checkout):
    checkout.write(LESSON.replace("# 95 ·", "# 07 ·").replace("95.", "07."), "07_other.py")
    build(checkout.root, registry=registry)
    checkout.write(LESSON.replace("eps * direction", "direction * eps"))
    (checkout.root / "lessons" / "07_other.py").write_text("# %%\nbroken")
    with pytest.raises(LessonError):
        build(checkout.root, registry=registry)
    report = build(checkout.root, ["95"], registry=registry)
    assert report.lessons == ["95_small_lesson"]
    stored = json.loads((checkout.root / builder.SOLUTIONS).read_text())
    assert "eps * direction" in stored["07.1"]["pytorch"]
    assert "direction * eps" in stored["95.1"]["pytorch"]


@pytest.mark.parametrize("name", ["95", "95_small_lesson", "lessons/95_small_lesson.py"])
def test_a_lesson_goes_by_number_or_name(checkout, name):
    assert build(checkout.root, [name], registry=registry).lessons == ["95_small_lesson"]


def test_an_unknown_lesson_is_refused(checkout):
    with pytest.raises(CourseError, match=r"There is no lesson '96'; the lessons are: 95_small_lesson\."):
        build(checkout.root, ["96"], registry=registry)


def test_an_unknown_track_is_refused(checkout):
    with pytest.raises(CourseError, match="There is no track 'jax'"):
        student_notebook(checkout.lesson, "jax", registry=registry)


# Nothing half-written


def test_a_malformed_lesson_writes_nothing(checkout):
    checkout.write(LESSON.replace("# 95 ·", "# 07 ·").replace("95.", "07."), "07_other.py")
    checkout.change("size = {", "size = = {")
    with pytest.raises(LessonError):
        build(checkout.root, registry=registry)
    assert files(checkout.root).keys() == {"pyproject.toml"}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_leaves_the_old_file(checkout, monkeypatch, stop):
    build(checkout.root, registry=registry)
    before = files(checkout.root)
    checkout.write(LESSON.replace("Write the step.", "Write your step."))
    calls = []

    def fail(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise stop

    monkeypatch.setattr(os, "fsync", fail)
    expected = CourseError if isinstance(stop, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        build(checkout.root, registry=registry)
    if expected is CourseError:
        assert "No space left on device" in str(caught.value)
        assert NAME in str(caught.value)
    after = files(checkout.root)
    assert after.keys() == before.keys()
    changed = [name for name in after if after[name] != before[name]]
    assert changed == [f"notebooks/pytorch/{NAME}"]
    monkeypatch.undo()
    assert build(checkout.root, registry=registry).written == [f"notebooks/tensorflow/{NAME}"]
    assert not list(checkout.root.rglob("*.tmp"))


def test_what_a_killed_build_left_is_used_up(checkout):
    left = checkout.root / "notebooks" / "pytorch" / f".{NAME}.tmp"
    left.parent.mkdir(parents=True)
    left.write_text("half a noteb")
    build(checkout.root, registry=registry)
    assert not left.exists()
    nbformat.validate(nbformat.read(left.with_name(NAME), as_version=4))


# What is refused: (what to replace, by what, the number of the cell, what the message says)

PYTORCH_EXERCISE = LESSON[
    LESSON.index('# %% tags=["pytorch", "exercise"]') : LESSON.index('# %% tags=["tensorflow", "exercise"]')
]
TENSORFLOW_EXERCISE = PYTORCH_EXERCISE.replace("torch.", "tf.").replace('"pytorch"', '"tensorflow"')

REFUSED = {
    "no heading": ("# # 95 · How far is one step?", "# How far?", 1, "starts with `# 95 · Title`"),
    "heading of another lesson": ("# # 95 ·", "# # 94 ·", 1, "starts with `# 95 · Title`"),
    "heading without title": ("# # 95 · How far is one step?", "# # 95 · ", 1, "starts with `# 95 · Title`"),
    "no twin": (TENSORFLOW_EXERCISE, "", 7, "a pytorch cell without its tensorflow twin right after it"),
    "only the second twin": (PYTORCH_EXERCISE, "", 7, "a tensorflow cell without its pytorch twin right before it"),
    "twins apart": (
        PYTORCH_EXERCISE,
        PYTORCH_EXERCISE + "# %%\nprint(size)\n\n",
        7,
        "a pytorch cell without its tensorflow twin right after it",
    ),
    "twins of different tags": (
        '# %% tags=["tensorflow", "nbval-ignore-output"]',
        '# %% tags=["tensorflow"]',
        3,
        "differs from its twin, cell 2",
    ),
    "twin of another kind": (
        TENSORFLOW_EXERCISE,
        '# %% [markdown] tags=["tensorflow"]\n# Words.\n\n',
        8,
        "differs from its twin, cell 7",
    ),
    "both tracks' tags": ('tags=["solution"]', 'tags=["solution", "pytorch", "tensorflow"]', 13, "remove both"),
    "unknown tag": ('tags=["parameters"]', 'tags=["parameters", "hidden"]', 4, "unknown tag 'hidden'"),
    "misspelt track": ('tags=["solution"]', 'tags=["solution", "torch"]', 13, "unknown tag 'torch'"),
    "raises-exception": ("# %%\nsize", '# %% tags=["raises-exception"]\nsize', 5, "unknown tag"),
    "tags that do not end": ('# %% tags=["parameters"]', '# %% tags=["parameters"', 4, "holds more than"),
    "a title of a cell": ("# %%\nsize", "# %% sizes\nsize", 5, "holds more than"),
    "no parameters": ('# %% tags=["parameters"]\n', "# %%\n", None, "no cell is tagged parameters"),
    "two parameters cells": ("# %%\nsize", '# %% tags=["parameters"]\nPROFILE = "quick"\n\n# %%\nsize', 5, "keep one"),
    "another profile": ('PROFILE = "quick"', 'PROFILE = "smoke"', 4, 'sets PROFILE = "quick" and SEED = 0'),
    "no seed": ("SEED = 0\n", "", 4, 'sets PROFILE = "quick" and SEED = 0'),
    "seed that is false": ("SEED = 0", "SEED = False", 4, 'sets PROFILE = "quick" and SEED = 0'),
    "computed parameters": ("SEED = 0", "SEED = int(0)", 4, "nothing but `NAME = value`"),
    "parameters of one track": (
        'tags=["parameters"]',
        'tags=["parameters", "pytorch"]',
        4,
        "a code cell of both tracks",
    ),
    "syntax": ("size = {", "size = = {", 5, r"line 1 is no Python: invalid syntax \(size = = {"),
    "magic": ("# %%\nsize", "# %%\n# %matplotlib inline\nsize", 5, r"line 1 is a magic command \(%matplotlib inline\)"),
    "shell": ("print(size)", "!ls", 18, r"line 1 is a magic command \(!ls\)"),
    "a marker for nbval": ("print(size)", "# NBVAL_SKIP\nprint(size)", 18, "NBVAL_SKIP steers nbval"),
    "long cell": ("print(size)", "\n".join(["print(size)"] * 31), 18, "31 lines, at most 30"),
    "empty cell": ("print(size)\n", "\n", 18, "the cell is empty"),
    "raw cell": ("# %%\nsize", "# %% [raw]\n# words\n\n# %%\nsize", 5, "a raw cell shows nothing"),
    "a framework in shared prose": ("# Write the step.", "# Write the step in PyTorch.", 6, r"\(PyTorch\)"),
    "a framework's name in lower case": ("# Write the step.", "# Use `tf.sign`.", 6, r"\(tf\.\)"),
    "a framework in shared code": ("print(size)", "print(torch.ones(2))", 18, r"\(torch\.\)"),
    "a framework's import in shared code": ("print(size)", "import torch", 18, "a cell of both tracks uses torch"),
    "a framework's code in a cell about both": (
        "# %%\nsize",
        '# %% tags=["both-frameworks"]\nimport torch\n\n# %%\nsize',
        5,
        "a cell of both tracks uses torch",
    ),
    "the other framework in a twin": (
        PYTORCH_EXERCISE,
        PYTORCH_EXERCISE.replace("torch.sign", "tf.sign"),
        7,
        "a pytorch cell uses tf",
    ),
    "a card without its parts": (" · 2 min · *", "", 9, "an exercise's card reads `### Exercise 95.1"),
    "a card out of order": ("### Exercise 95.2", "### Exercise 95.4", 9, "exercise 95.4 comes where 95.2 is due"),
    "a card of another lesson": ("### Exercise 95.1", "### Exercise 94.1", 6, "comes where 95.1 is due"),
    "a card without a check": (
        'length = exercise("95.3").check(length)',
        "print(3)",
        11,
        "95.3 has no check in the PyTorch",
    ),
    "a check in one track only": (
        TENSORFLOW_EXERCISE,
        TENSORFLOW_EXERCISE.replace('step = exercise("95.1").check(step)', "print(step)"),
        6,
        "95.1 has no check in the TensorFlow",
    ),
    "a check of another exercise": (
        'exercise("95.3").check(length)',
        'exercise("95.2").check(length)',
        14,
        "the check of exercise 95.2 stands below the card of 95.3",
    ),
    "a check without registration": (
        'exercise("95.3").check(length)',
        'exercise("95.3").check(exercise("95.9").check(length))',
        14,
        "exercise 95.9 is checked, and",
    ),
    "an exercise without an answer cell": (
        '# %% tags=["exercise"]\n# BEGIN',
        "# %%\n# BEGIN",
        10,
        "in a cell tagged exercise",
    ),
    "an exercise without a solution": (
        'scratch = ["a", "b"]\nprediction = scratch[1]\n# END SOLUTION\n',
        'prediction = "a"\n',
        10,
        "a BEGIN SOLUTION has no END SOLUTION after it",
    ),
    "a bug hunt without a repair": (
        '# %% tags=["solution"]',
        "# %%",
        12,
        "neither a solution region nor a solution cell",
    ),
    "a solution of nothing": (
        "# %%\nsize",
        '# %% tags=["solution"]\nprint(7)\n\n# %%\nsize',
        5,
        "right after the exercise that it solves",
    ),
    "an END alone": ("# BEGIN SOLUTION\nscratch", "scratch", 10, "an END SOLUTION has no BEGIN SOLUTION before it"),
    "a region in a region": (
        "# BEGIN SOLUTION\nscratch",
        "# BEGIN SOLUTION\n# BEGIN SOLUTION\nscratch",
        10,
        "inside another",
    ),
    "a marker behind code": (
        "# BEGIN SOLUTION\nscratch",
        "pass  # BEGIN SOLUTION\nscratch",
        10,
        "stands alone in its line",
    ),
    "an empty region": ('scratch = ["a", "b"]\nprediction = scratch[1]\n', "", 10, "a solution region is empty"),
    "a region in prose": ("# Write the step.", "# BEGIN SOLUTION\n# Write.\n# END SOLUTION", 6, "not in Markdown"),
    "an exercise before its card": (
        "# %%\nsize",
        '# %% tags=["exercise"]\n# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n\n# %%\nsize',
        5,
        "below its card",
    ),
    "a check in a solution cell": (
        "return sum(abs(value) for value in values)\n",
        'return sum(abs(value) for value in values)\n\n\nlength = exercise("95.3").check(length)\n',
        13,
        "a check stands outside solution cells",
    ),
    "too few compared claims": (
        '# %%\nclaim("four',
        '# %% tags=["nbval-ignore-output"]\nclaim("four',
        None,
        "its PyTorch track has 2 compared claim cells, and needs 3",
    ),
    "a claim twice": (
        'claim("four values go in"',
        'claim("the length is positive"',
        16,
        "cell 15 already makes the claim",
    ),
    "an unknown setting": ("minutes: 7", "minutes: 7\n#     level: hard", None, "not level"),
    "no minutes": ("#     minutes: 7\n", "", None, "`minutes` in its header is None"),
    "no header": (
        "#   advrec:\n#     minutes: 7\n#     data: []\n#     prerequisites: []\n",
        "#   other: 1\n",
        None,
        "no `advrec:` section",
    ),
    "data that is no list": ("data: []", "data: movielens", None, "`data` in its header is 'movielens'"),
    "a prerequisite without quotes": (
        "prerequisites: []",
        "prerequisites: [1]",
        None,
        "give a list of names in quotes",
    ),
    "a later prerequisite": ("prerequisites: []", 'prerequisites: ["96"]', None, "below 95"),
    "a prerequisite that is none": ("prerequisites: []", 'prerequisites: ["07"]', None, "there is no such lesson"),
    "another title in the header": (
        "minutes: 7",
        "minutes: 7\n#     title: Steps",
        None,
        "its first heading says 'How far is one step\\?'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_lesson_is_refused_by_name_cell_and_line(checkout, case):
    old, new, number, text = REFUSED[case]
    path = checkout.change(old, new)
    with pytest.raises(LessonError) as caught:
        build(checkout.root, registry=registry)
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(text, message), message
    if number is None:
        assert message.startswith("lessons/95_small_lesson.py: "), message
    else:
        first = next((line.strip() for line in cells(path)[number - 1].splitlines() if line.strip()), "")
        quoted = first if len(first) <= 60 else first[:59] + "…"
        assert message.startswith(f"lessons/95_small_lesson.py, cell {number} ({quoted!r}): "), message


def cells(path: Path) -> list[str]:
    """Return the cells' sources, read with jupytext alone."""
    import jupytext

    return [cell.source for cell in jupytext.read(path, fmt="py:percent").cells]


def test_a_sound_lesson_has_no_problems(checkout):
    assert list(rules.problems(lessons.read(checkout.lesson), registry=registry)) == []


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_check_needs_three_hints(checkout, count):
    def other(number):
        return {**registry(number), "95.2": SimpleNamespace(hints=("x",) * count)}

    with pytest.raises(LessonError, match=rf"cell 10 .*exercise 95\.2 has {count} hints; it needs 3"):
        build(checkout.root, registry=other)


def test_the_package_s_own_registry_is_asked_by_default(checkout):
    with pytest.raises(
        LessonError, match=r"exercise 95\.1 is checked, and advrec_teach/exercises/lesson_95\.py has none"
    ):
        build(checkout.root)


def test_an_unknown_asset_is_refused(checkout):
    (checkout.root / "data").mkdir()
    (checkout.root / "data" / "sources.toml").write_text("[movielens]\nversion = 1\n")
    checkout.change("data: []", "data: [movielens]")
    build(checkout.root, registry=registry)
    checkout.change("data: []", "data: [netflix]")
    with pytest.raises(LessonError, match=r"names 'netflix'; data/sources\.toml lists: movielens\."):
        build(checkout.root, registry=registry)


def test_prose_about_both_frameworks_may_name_them(checkout):
    checkout.change(
        "# %%\nsize",
        '# %% [markdown] tags=["both-frameworks"]\n# PyTorch and TensorFlow agree.\n\n# %%\nsize',
    )
    for track in TRACKS:
        notebook = student_notebook(checkout.lesson, track, registry=registry)
        assert any(cell.source == "PyTorch and TensorFlow agree." for cell in notebook.cells)


def test_further_parameters_are_allowed(checkout):
    checkout.change("SEED = 0\n", "SEED = 0\nEPS = [0.5, 1.0]\n")
    assert "EPS = [0.5, 1.0]" in code(student_notebook(checkout.lesson, "pytorch", registry=registry))


def test_several_problems_are_counted(checkout):
    checkout.write(LESSON.replace("SEED = 0", "SEED = 1").replace("print(size)", "!ls"))
    with pytest.raises(LessonError, match=r"cell 18 .* \(and 1 more problem\)$"):
        build(checkout.root, registry=registry)


@pytest.mark.parametrize("name", ["95_Small.py", "9_small.py", "small.py", "95.py", "95_a__b.py", "95-small.py"])
def test_a_wrong_file_name_is_refused(checkout, name):
    checkout.write(LESSON, name)
    with pytest.raises(LessonError, match=re.escape(f"lessons/{name}: a lesson's file is called NN_snake_case.py")):
        build(checkout.root, registry=registry)


def test_two_lessons_of_one_number_are_refused(checkout):
    checkout.write(LESSON, "95_another.py")
    with pytest.raises(LessonError, match="already has number 95"):
        build(checkout.root, registry=registry)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "it has no cell"),
        (b"print(1)\n", "it has no cell"),
        (b"# %%\n# \xff\n", "byte 7 is not UTF-8"),
        (b"# ---\n# jupyter: [\n# ---\n\n# %%\nx = 1\n", "or is no YAML"),
        (b"# ---\n# jupyter:\n#   jupytext: 3\n# ---\n\n# %%\nx = 1\n", "jupytext cannot read it"),
        (b'# %% tags="solution"\nx = 1\n', "jupytext cannot read it"),
    ],
)
def test_an_unreadable_lesson_is_refused(checkout, data, text):
    checkout.lesson.write_bytes(data)
    with pytest.raises(LessonError, match=text) as caught:
        build(checkout.root, registry=registry)
    assert "\n" not in str(caught.value)


# The lessons of this checkout


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
@pytest.mark.parametrize("track", TRACKS)
def test_every_student_cell_is_python(path, track):
    for cell in student_notebook(path, track).cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
            assert "SOLUTION" not in cell.source


def test_the_committed_notebooks_are_those_of_the_lessons():
    report = build(ROOT, check=True)
    assert report.ok, "\n".join(report.lines())
