"""Diagrams are text in a lesson and a picture in its notebooks; neither browser nor network is needed to build."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from small_lesson import LESSON, registry

from advrec_teach.course import diagrams, draw, lessons
from advrec_teach.course.build import build, student_notebook
from advrec_teach.course.lessons import LessonError
from advrec_teach.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "build" / "mermaid" / f"mermaid-{draw.MERMAID}.min.js"
REAL = sorted((ROOT / "lessons").glob("*.py"))

TEXT = """\
flowchart LR
  accTitle: from a "question" to a claim <measured>
  A[question] --> B[claim]
"""


def png(width: int = 400, height: int = 100) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return buffer.getvalue()


def commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


@pytest.fixture
def drawn(checkout):
    """Give a checkout whose lesson shows one diagram, with its picture."""
    block = commented(f"```mermaid\n{TEXT}```\n\nWhat the diagram says.")
    checkout.change("# Write the step.\n", f"# Write the step.\n#\n{block}")
    path = diagrams.picture(checkout.root / "lessons", TEXT)
    path.parent.mkdir()
    path.write_bytes(png())
    return checkout


def cell_of(checkout, track="pytorch") -> str:
    notebook = student_notebook(checkout.lesson, track, registry=registry)
    return next(cell.source for cell in notebook.cells if "mermaid" in cell.source)


@pytest.mark.parametrize("track", ["pytorch", "tensorflow"])
def test_the_notebook_carries_the_picture_and_the_text(drawn, track):
    source = cell_of(drawn, track)
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', source)
    assert base64.b64decode(data, validate=True) == png()
    assert 'width="200"' in source
    assert f"<details><summary>The diagram in Mermaid</summary>\n\n```mermaid\n{TEXT}```\n\n</details>" in source
    assert source.endswith("What the diagram says.")


def test_the_picture_says_in_words_what_it_shows(drawn):
    assert '<img alt="from a &quot;question&quot; to a claim &lt;measured&gt;"' in cell_of(drawn)


def test_a_page_shows_the_picture(drawn):
    """nbconvert's page holds the picture itself, not a link to something beside the notebook."""
    from nbconvert import HTMLExporter

    notebook = student_notebook(drawn.lesson, "pytorch", registry=registry)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert base64.b64encode(png()).decode() in page
    assert re.search(r"<details>\s*<summary>The diagram in Mermaid", page)


def test_building_twice_gives_the_same_bytes(drawn):
    build(drawn.root, registry=registry)
    assert build(drawn.root, registry=registry).written == []


def test_building_starts_no_browser(drawn):
    """Build with an empty PATH: nothing can be started."""
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from small_lesson import registry; from advrec_teach.course.build import build\n"
        "print(build(Path(sys.argv[1]), registry=registry).written)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, drawn.root, Path(__file__).parent],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "95_small_lesson.ipynb" in done.stdout


def refusal(checkout) -> str:
    with pytest.raises(LessonError) as caught:
        build(checkout.root, registry=registry)
    return str(caught.value)


def test_a_missing_picture_is_refused(drawn):
    diagrams.picture(drawn.root / "lessons", TEXT).unlink()
    message = refusal(drawn)
    assert "lessons/95_small_lesson.py, cell 6 " in message
    assert "run `advrec build --diagrams`" in message


def test_the_picture_of_an_older_text_is_refused(drawn):
    text = drawn.lesson.read_text()
    drawn.write(text.replace("A[question] --> B[claim]", "A[question] --> B[finding]"))
    assert "has changed since; run `advrec build --diagrams`" in refusal(drawn)


def test_a_picture_of_another_style_is_another_picture(drawn, monkeypatch):
    monkeypatch.setattr(diagrams, "STYLE", "other")
    assert "run `advrec build --diagrams`" in refusal(drawn)


def test_a_large_picture_is_refused(drawn):
    path = diagrams.picture(drawn.root / "lessons", TEXT)
    path.write_bytes(path.read_bytes() + bytes(diagrams.MAX_BYTES))
    assert "more than 60 kB" in refusal(drawn)


@pytest.mark.parametrize("data", [b"", b"<svg/>", png()[:20]])
def test_a_file_that_is_no_picture_is_refused(drawn, data):
    diagrams.picture(drawn.root / "lessons", TEXT).write_bytes(data)
    assert "is no PNG picture" in refusal(drawn)


def test_a_diagram_without_words_is_refused(drawn):
    drawn.write(drawn.lesson.read_text().replace("#   accTitle: from", "#   %% from"))
    assert "a diagram needs a line `accTitle: ...`" in refusal(drawn)


@pytest.mark.parametrize("opening", ["~~~mermaid", "  ```mermaid", "``` mermaid"])
def test_a_block_that_the_build_would_overlook_is_refused(drawn, opening):
    drawn.write(drawn.lesson.read_text().replace("# ```mermaid", f"# {opening}"))
    assert "a Mermaid block starts with a line ```mermaid" in refusal(drawn)


# Drawing


def test_drawing_without_a_browser_says_what_to_install(drawn, monkeypatch):
    diagrams.picture(drawn.root / "lessons", TEXT).unlink()
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("ADVREC_CHROMIUM", raising=False)
    monkeypatch.setattr(draw, "_mermaid", lambda root: Path(__file__))
    with pytest.raises(CourseError, match="needs Chromium"):
        draw.draw(drawn.root)


def test_drawing_without_npm_says_what_to_install(drawn, monkeypatch):
    diagrams.picture(drawn.root / "lessons", TEXT).unlink()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CourseError, match="needs npm once"):
        draw.draw(drawn.root)


def test_another_script_in_the_place_of_mermaid_is_refused(drawn):
    diagrams.picture(drawn.root / "lessons", TEXT).unlink()
    script = drawn.root / "build" / "mermaid" / SCRIPT.name
    script.parent.mkdir(parents=True)
    script.write_text("alert(1)")
    with pytest.raises(CourseError, match="is not Mermaid"):
        draw.draw(drawn.root)


def test_nothing_to_draw_needs_nothing(drawn, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert draw.draw(drawn.root) == ["Every diagram had its picture."]


def test_pictures_that_no_lesson_shows_are_removed(drawn, monkeypatch):
    monkeypatch.setenv("PATH", "")
    kept = diagrams.picture(drawn.root / "lessons", TEXT)
    old = kept.with_name("0123456789abcdef.png")
    old.write_bytes(png())
    assert draw.draw(drawn.root) == ["removed lessons/diagrams/0123456789abcdef.png: no lesson shows it"]
    assert kept.exists()
    assert not old.exists()


@pytest.fixture
def machine(drawn):
    """Give the checkout what a maintainer's machine has; skip where it is not there."""
    if not any(shutil.which(name) for name in draw._BROWSERS):
        pytest.skip("drawing needs Chromium, which only maintainers do")
    if not SCRIPT.is_file():
        pytest.skip("drawing needs Mermaid in build/, which `advrec build --diagrams` fetches")
    target = drawn.root / "build" / "mermaid" / SCRIPT.name
    target.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, target)
    diagrams.picture(drawn.root / "lessons", TEXT).unlink()
    return drawn


def test_a_diagram_is_drawn_with_few_bytes_and_no_rim(machine):
    assert len(draw.draw(machine.root)) == 1
    path = diagrams.picture(machine.root / "lessons", TEXT)
    with Image.open(path) as image:
        grey = image.convert("L")
        box = grey.point(lambda value: 255 if value < 200 else 0).getbbox()
    assert box is not None
    assert path.stat().st_size < diagrams.MAX_BYTES
    # Two boxes and an arrow: far wider than high, drawn up to a small margin on every side.
    width, height = grey.size
    assert width > 2 * height
    assert max(box[0], box[1], width - box[2], height - box[3]) <= 24 * diagrams.SCALE
    assert build(machine.root, registry=registry).written


def test_a_diagram_that_mermaid_refuses_is_named(machine):
    machine.write(LESSON.replace("# Write the step.\n", commented("```mermaid\nflowchart LR\n  A[ --> \n```")))
    with pytest.raises(
        CourseError, match=r"lessons/95_small_lesson\.py, cell 6: Mermaid refuses the diagram \("
    ) as caught:
        draw.draw(machine.root)
    assert "\n" not in str(caught.value)


def test_a_diagram_cannot_leave_its_page(machine):
    """Text that would end the script element, or run one, is drawn as text."""
    text = 'flowchart LR\n  accTitle: odd\n  A["</script><b>x</b>"] --> B["<img src=x onerror=alert(1)>"]\n'
    machine.write(LESSON.replace("# Write the step.\n", commented(f"```mermaid\n{text}```")))
    assert len(draw.draw(machine.root)) == 1


# The lessons of this checkout


def test_every_committed_picture_belongs_to_a_lesson():
    shown = {
        diagrams.picture(path.parent, text)
        for path in REAL
        for cell in lessons.read(path).cells
        for text in diagrams.texts(cell.source)
    }
    assert shown == set((ROOT / "lessons" / diagrams.FOLDER).glob("*"))
    assert all(path.stat().st_size <= diagrams.MAX_BYTES for path in shown)
