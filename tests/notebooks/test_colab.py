"""The Colab cell adds the course to what a hosted session ships, and moves nothing of it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from small_lesson import LESSON, registry
from wheels import make_wheel

from advrec_teach.course import colab
from advrec_teach.course.build import solved_notebook, student_notebook
from advrec_teach.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]

# What the imitated session ships: older than what an index offers, and new enough for the course.
SHIPPED = {
    "torch": "2.6.0+cu124",
    "tensorflow": "2.18.0",
    "keras": "3.8.0",
    "tensorboard": "2.18.0",
    "scipy": "1.14.1",
    "scikit-learn": "1.6.1",
    "matplotlib": "3.10.0",
    "polars": "1.9.0",
    "ipython": "7.34.0",
    "transformers": "5.0.0",
    "tokenizers": "0.22.0",
    "safetensors": "0.5.3",
    "keras-hub": "0.20.0",
}
NUMPY = "1.26.4"
PIP = "pip==24.1.2"
MISSING = ("filelock", "gguf", "platformdirs", "rich", "tqdm", "typer")


def bootstrap(checkout, track: str) -> str:
    """Return the source of the cell that the build puts below the title."""
    cell = student_notebook(checkout.lesson, track, registry=registry).cells[1]
    assert "bootstrap" in cell.metadata.tags
    return cell.source


@dataclass
class Session:
    """A virtual environment that looks like Colab."""

    python: Path
    source: str

    def installed(self) -> dict[str, str]:
        code = (
            "import importlib.metadata as m, json\n"
            "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))\n"
        )
        return json.loads(subprocess.check_output([self.python, "-c", code], text=True))

    def pip(self, *arguments: str | Path) -> None:
        command = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
        subprocess.run(command, check=True)

    def run(self, code: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run code with the module google.colab imported, as every kernel of Colab has it."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        environment |= {"ADVREC_COLAB_SOURCE": self.source, **settings}
        return subprocess.run(
            [self.python, "-c", f"import google.colab\n{code}"],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.python.parent,
        )


def session(folder: Path, wheel: Path, extra: list[str | Path]) -> Session:
    """Make a virtual environment, with the stand-ins for what Colab ships and ``extra`` installed."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    stands = folder / "shipped"
    stands.mkdir()
    files = [make_wheel(stands, name, version) for name, version in SHIPPED.items()]
    fake = {"google/__init__.py": "", "google/colab/__init__.py": ""}
    files.append(make_wheel(stands, "google-colab", "1.0.0", modules=fake))
    made = Session(python, wheel.as_uri())
    made.pip("install", *files, *extra)
    # Systems carry old packages whose versions are none; newer pips stumble when they list them.
    odd = next((folder / "venv" / "lib").glob("python*/site-packages")) / "odd_thing-1.dist-info"
    odd.mkdir()
    (odd / "METADATA").write_text("Metadata-Version: 2.1\nName: odd_thing\nVersion: 1-unknown.x\n")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory, wheel) -> tuple[Session, Path]:
    """Give a session, and a folder in the place of an index, which holds traps.

    The newest typer of that folder wants a newer NumPy, the newest rich a newer torch. pip
    takes the newest of what is missing, so without constraints it would move both.
    """
    folder = tmp_path_factory.mktemp("offline")
    shelf = folder / "shelf"
    shelf.mkdir()
    for name in MISSING:
        make_wheel(shelf, name, "30.0")
    make_wheel(shelf, "typer", "99.0", requires=["numpy>=2"])
    make_wheel(shelf, "rich", "99.0", requires=["torch>=2.10"])
    for name, version in (("numpy", "2.4.0"), ("torch", "2.13.0"), ("tensorflow", "2.21.0")):
        make_wheel(shelf, name, version)
    return session(folder, wheel, [make_wheel(folder, "numpy", NUMPY)]), shelf


@pytest.fixture
def offline(shared, monkeypatch) -> Session:
    """Give the session as it was shipped, cut off from every index but the folder."""
    made, shelf = shared
    made.pip("uninstall", "--yes", "advrec-teach", *MISSING)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return made


def test_the_traps_are_real(offline):
    wanted = f"advrec-teach[pytorch] @ {offline.source}"
    done = offline.run(
        "import subprocess, sys\n"
        "command = [sys.executable, '-m', 'pip', 'install', '--dry-run', '--quiet', '--report', '-']\n"
        f"print(subprocess.check_output([*command, {wanted!r}], text=True))\n"
    )
    assert done.returncode == 0, done.stderr
    moved = {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in json.loads(done.stdout)["install"]}
    assert moved["numpy"] == "2.4.0"
    assert moved["torch"] == "2.13.0"


@pytest.mark.parametrize("track", ["pytorch", "tensorflow"])
def test_nothing_that_is_shipped_moves(checkout, offline, track):
    before = offline.installed()
    assert before["numpy"] == NUMPY
    done = offline.run(bootstrap(checkout, track) + "\nimport advrec_teach; print(advrec_teach.__file__)")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(offline.python.parents[1])
    after = offline.installed()
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) == {"advrec-teach", *MISSING}
    assert after["typer"] == after["rich"] == "30.0"


def test_a_second_run_of_the_cell_installs_nothing(checkout, offline):
    code = bootstrap(checkout, "pytorch")
    assert offline.run(code).returncode == 0
    before = offline.installed()
    # The source is gone now: a second installation would fail.
    done = offline.run(code, ADVREC_COLAB_SOURCE="file:///nowhere/advrec_teach-0-py3-none-any.whl")
    assert done.returncode == 0, done.stderr
    assert offline.installed() == before


def test_a_session_that_is_too_old_is_told_so_and_left_as_it_is(checkout, offline, tmp_path):
    offline.pip("install", make_wheel(tmp_path, "polars", "0.20.0"))
    try:
        before = offline.installed()
        done = offline.run(bootstrap(checkout, "pytorch"))
        assert done.returncode != 0
        assert "The course could not be installed here." in done.stderr
        assert "polars" in done.stderr
        assert offline.installed() == before
    finally:
        offline.pip("install", make_wheel(tmp_path, "polars", SHIPPED["polars"]))


def test_with_a_real_index_and_a_real_numpy(checkout, tmp_path, wheel):
    """Install over the package index what is missing, and use it."""
    try:
        made = session(tmp_path, wheel, [f"numpy=={NUMPY}"])
        made.pip("install", PIP)
    except subprocess.CalledProcessError:
        if os.environ.get("CI"):
            raise
        pytest.skip("the package index cannot be reached")
    before = made.installed()
    code = (
        f"{bootstrap(checkout, 'pytorch')}\n"
        "import numpy, advrec_teach\n"
        "from advrec_teach.course.cli import main\n"
        "print(numpy.__version__)\n"
        "main(['--version'])\n"
    )
    done = made.run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == NUMPY
    assert "advrec-teach" in done.stdout
    after = made.installed()
    assert {name: after.get(name) for name in before} == before
    assert set(MISSING) <= set(after)


@pytest.mark.parametrize("track", ["pytorch", "tensorflow"])
def test_elsewhere_the_cell_does_nothing(checkout, track):
    code = (
        "import sys; sys.argv; before = set(sys.modules); space = {}\n"
        f"exec({bootstrap(checkout, track)!r}, space)\n"
        "print(sorted(set(sys.modules) - before), sorted(set(space) - {'__builtins__'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['sys']"


def test_the_cell_fetches_the_data_of_the_lesson(checkout, monkeypatch):
    asked: list[list[str]] = []
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    fetching = ModuleType("advrec_teach.fetch")
    monkeypatch.setattr(fetching, "fetch", asked.append, raising=False)
    monkeypatch.setitem(sys.modules, "advrec_teach.fetch", fetching)
    exec(bootstrap(checkout, "pytorch"), {})
    assert asked == []
    checkout.change("data: []", "data: [movielens, reviews]")
    exec(bootstrap(checkout, "pytorch"), {})
    assert asked == [["movielens", "reviews"]]


def test_the_cell_is_short_and_folded(checkout):
    cell = student_notebook(checkout.lesson, "tensorflow", registry=registry).cells[1]
    assert len(cell.source.splitlines()) <= 30
    assert cell.metadata.jupyter.source_hidden is True
    assert cell.metadata.cellView == "form"
    assert "nbval-ignore-output" in cell.metadata.tags


def test_badges_and_set_up_come_from_pyproject(checkout):
    settings = '[tool.advrec]\nrepository = "https://github.com/some-one/a.course"\nbranch = "feature/next"\n'
    (checkout.root / "pyproject.toml").write_text(settings)
    notebook = student_notebook(checkout.lesson, "tensorflow", registry=registry)
    target = "some-one/a.course/blob/feature/next/notebooks/tensorflow/95_small_lesson.ipynb"
    assert f"(https://colab.research.google.com/github/{target})" in notebook.cells[0].source
    assert '"git+https://github.com/some-one/a.course@feature/next"' in notebook.cells[1].source


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[tool.advrec]\n",
        '[tool.advrec]\nrepository = "https://github.com/a/b"\n',
        '[tool.advrec]\nrepository = "https://example.org/a/b"\nbranch = "main"\n',
        '[tool.advrec]\nrepository = "https://github.com/a/b.git"\nbranch = "main"\n',
        '[tool.advrec]\nrepository = "https://github.com/a/b\\"+x"\nbranch = "main"\n',
        '[tool.advrec]\nrepository = "https://github.com/a/b"\nbranch = "main\\" #"\n',
        "[tool.advrec\n",
    ],
)
def test_an_unusable_setting_is_refused(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(CourseError, match=r"pyproject\.toml"):
        colab.home(tmp_path)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(CourseError, match="run this in a checkout"):
        colab.home(tmp_path)


def test_the_masthead_links_what_comes_first(checkout):
    checkout.change("prerequisites: []", 'prerequisites: ["07"]')
    checkout.write(LESSON.replace("# 95 ·", "# 07 ·").replace("95.", "07."), "07_before_it.py")
    source = student_notebook(checkout.lesson, "pytorch", registry=registry).cells[0].source
    assert "[07 · How far is one step?](07_before_it.ipynb)" in source
    solved = solved_notebook(checkout.lesson, "pytorch", registry=registry).cells[0].source
    assert "(../../notebooks/pytorch/07_before_it.ipynb)" in solved
    assert "(../../notebooks/pytorch/95_small_lesson.ipynb)" in solved
    assert "**This is the solved notebook.**" in solved
