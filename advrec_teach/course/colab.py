"""Badges, and the cell that prepares a hosted session.

Colab ships its own NumPy, PyTorch and TensorFlow, compiled for its machines and
partly imported before the first cell runs; replacing one breaks the session. So the
cell hands pip the exact version of *everything* that is installed as a constraint:
what is missing is added in a version that fits, what is there stays, and where the
two contradict each other pip says so and changes nothing. Installing without
dependencies would need a list of what may be missing, which goes stale, and
would accept packages that do not fit.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from advrec_teach.course.lessons import Lesson
from advrec_teach.errors import CourseError
from advrec_teach.tracks import TITLES, TRACKS

_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"

_BOOTSTRAP = """\
# @title Set-up on Colab; on your own machine this cell does nothing
import sys

if "google.colab" in sys.modules:
    import importlib.metadata
    import importlib.util
    import os
    import re
    import subprocess
    import tempfile

    if importlib.util.find_spec("advrec_teach") is None:
        # What Colab ships keeps its version: pip may only add what is missing.
        shipped = {{}}
        for found in importlib.metadata.distributions():
            name = re.sub("[-_.]+", "-", str(found.metadata["Name"])).lower()
            shipped.setdefault(name, f"{{name}}=={{found.version}}\\n")
        exact = re.compile(r"[a-z\\d-]+==\\d[\\d.]*((a|b|rc|\\.post|\\.dev)\\d+)*(\\+[\\w.]+)?\\n")
        with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as pins:
            pins.writelines(line for line in shipped.values() if exact.fullmatch(line))
        source = os.environ.get("ADVREC_COLAB_SOURCE", "git+{repository}@{branch}")
        wanted = ["--constraint", pins.name, f"advrec-teach[{track}] @ {{source}}"]
        command = [sys.executable, "-m", "pip", "install", *wanted]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        os.unlink(pins.name)
        if done.returncode:
            raise RuntimeError("The course could not be installed here.\\n" + done.stdout[-2000:])
        importlib.invalidate_caches()
"""

_FETCH = """\
    from advrec_teach.fetch import fetch

    fetch({names})
"""


@dataclass(frozen=True)
class Home:
    """Where the course lives: ``[tool.advrec]`` of its ``pyproject.toml``."""

    repository: str
    branch: str

    def colab(self, path: str) -> str:
        """Return the address that opens the notebook at ``path`` of the repository in Colab."""
        owner_and_name = self.repository.removeprefix("https://github.com/")
        return f"https://colab.research.google.com/github/{owner_and_name}/blob/{self.branch}/{path}"


def home(root: Path) -> Home:
    """Read where the course lives.

    Raises
    ------
    CourseError
        If ``pyproject.toml`` has no usable ``[tool.advrec]``.
    """
    path = Path(root) / "pyproject.toml"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["advrec"]
        found = Home(settings["repository"], settings["branch"])
    except FileNotFoundError:
        raise CourseError(f"There is no {path.name} in {path.parent}; run this in a checkout of the course.") from None
    except (KeyError, TypeError):
        raise CourseError(f"{path.name} needs `repository` and `branch` below [tool.advrec].") from None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{path.name} is no TOML: {error}.") from None
    # Both go into a line of code and into addresses: nothing but plain names may pass.
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", found.repository) or found.repository.endswith(".git"):
        raise CourseError(f"`repository` in {path.name} is {found.repository!r}; give https://github.com/OWNER/NAME.")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", found.branch):
        raise CourseError(f"`branch` in {path.name} is {found.branch!r}; give the name of a branch.")
    return found


def notebook_path(lesson: Lesson, track: str) -> str:
    """Return the student notebook's place in the repository."""
    return f"notebooks/{track}/{lesson.stem}.ipynb"


def bootstrap(lesson: Lesson, track: str, place: Home) -> str:
    """Return the code that prepares a Colab session for this lesson and track."""
    text = _BOOTSTRAP.format(repository=place.repository, branch=place.branch, track=track)
    if lesson.data:
        names = ", ".join(f'"{name}"' for name in lesson.data)
        text += _FETCH.format(names=f"[{names}]")
    return text.rstrip("\n")


def masthead(lesson: Lesson, track: str, place: Home, *, solved: bool, others: dict[str, Lesson]) -> str:
    """Return the lines below the title: badge, track, minutes, prerequisites.

    Parameters
    ----------
    solved
        Whether they are for the solved notebook, which links to the one to work in.
    others
        The lessons that prerequisites may link to, by number.
    """
    here = "../../notebooks/" + track + "/" if solved else ""
    twin = next(name for name in TRACKS if name != track)
    other = f"../{twin}/{lesson.stem}.ipynb"
    facts = [
        f"{TITLES[track]} track ([{TITLES[twin]} track]({other}))",
        f"about {lesson.minutes} minutes",
    ]
    if lesson.prerequisites:
        links = [
            f"[{number} · {others[number].title}]({here}{others[number].stem}.ipynb)" if number in others else number
            for number in lesson.prerequisites
        ]
        facts.append("do first: " + ", ".join(links))
    badge = f"[![Open in Colab]({_BADGE})]({place.colab(notebook_path(lesson, track))})"
    lines = [f"{badge} or, on your machine, in JupyterLab with `make lab`", "", " · ".join(facts)]
    if solved:
        lines += [
            "",
            f"**This is the solved notebook.** Work in [the one with the exercises]({here}{lesson.stem}.ipynb) first.",
        ]
    return "\n".join(lines)
