"""Draw the pictures of the lessons' Mermaid diagrams: ``advrec build --diagrams``.

A maintainer's command: it needs Chromium and, once, npm (for Mermaid itself, kept in
``build/``). Building, checking and testing the course need neither, because the pictures
are committed. Nothing that a lesson says is sent anywhere.
"""

import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from advrec_teach.course import diagrams, lessons
from advrec_teach.course.build import replace
from advrec_teach.errors import CourseError

MERMAID = "11.17.2"
MERMAID_SHA256 = "581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8"

_MEMBER = "package/dist/mermaid.min.js"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MARGIN = 8
# Tried in this order until the picture is small enough; lines and letters need few.
_COLOURS = (64, 32, 16)
_SETTINGS = {
    "startOnLoad": False,
    "securityLevel": "strict",
    "theme": "neutral",
    "fontFamily": "DejaVu Sans, Verdana, sans-serif",
    "flowchart": {"useMaxWidth": False},
    "sequence": {"useMaxWidth": False},
    "state": {"useMaxWidth": False},
    "class": {"useMaxWidth": False},
}
_PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>diagram</title>
<style>body {{ margin: {margin}px; background: white }} svg {{ display: block }}</style>
<script src="mermaid.min.js"></script></head>
<body><div id="drawing"></div><pre id="answer" hidden></pre><script>
const answer = document.getElementById("answer");
const drawing = document.getElementById("drawing");
mermaid.initialize({settings});
mermaid.render("diagram", {text})
  .then(({{svg}}) => {{
    drawing.innerHTML = svg;
    const box = drawing.firstElementChild.getBoundingClientRect();
    answer.textContent = JSON.stringify({{width: box.width, height: box.height}});
  }})
  .catch((error) => {{ answer.textContent = JSON.stringify({{error: String(error.message || error)}}); }});
</script></body></html>
"""


def draw(root: Path) -> list[str]:
    """Draw what is missing, remove what no lesson shows any more, and say so in one line each.

    Parameters
    ----------
    root
        The checkout.

    Raises
    ------
    CourseError
        If Chromium or npm is missing, or Mermaid refuses a diagram.
    """
    root = Path(root)
    wanted: dict[Path, tuple[str, str]] = {}
    for path in lessons.find(root):
        lesson = lessons.read(path)
        for cell in lesson.cells:
            if cell.kind == "markdown":
                for text in diagrams.texts(cell.source):
                    where = f"{lesson.label}, cell {cell.number}"
                    wanted.setdefault(diagrams.picture(path.parent, text), (where, text))
    lines = []
    missing = {path: entry for path, entry in wanted.items() if not path.is_file()}
    if missing:
        script, browser = _mermaid(root), _browser()
        with tempfile.TemporaryDirectory(prefix="advrec-diagrams-") as folder:
            shutil.copy(script, Path(folder) / "mermaid.min.js")
            for path, (where, text) in missing.items():
                data = _picture(browser, Path(folder), where, text)
                if len(data) > diagrams.MAX_BYTES:
                    raise CourseError(f"{where}: the picture has {len(data) // 1000} kB; draw less, or two diagrams.")
                replace(path, data)
                lines.append(f"drew {path.relative_to(root).as_posix()} for {where}")
    for path in sorted((root / "lessons" / diagrams.FOLDER).glob("*.png")):
        if path not in wanted:
            path.unlink()
            lines.append(f"removed {path.relative_to(root).as_posix()}: no lesson shows it")
    return lines or ["Every diagram had its picture."]


def _picture(browser: str, folder: Path, where: str, text: str) -> bytes:
    """Return the PNG picture of one diagram."""
    page = folder / "page.html"
    # "<" must not end the script element early, whatever the diagram says.
    quoted = json.dumps(text).replace("<", "\\u003c")
    page.write_text(_PAGE.format(margin=_MARGIN, settings=json.dumps(_SETTINGS), text=quoted), encoding="utf-8")
    document = _chromium(browser, folder, "--dump-dom", page.as_uri())
    found = re.search(r'<pre id="answer" hidden="">(.*?)</pre>', document, re.DOTALL)
    if found is None or not found[1]:
        raise CourseError(f"{where}: Chromium did not draw the diagram; run the command again.")
    answer = json.loads(html.unescape(found[1]))
    if "error" in answer:
        reason = " ".join(answer["error"].split())
        raise CourseError(f"{where}: Mermaid refuses the diagram ({reason[:200]}).")
    # A headless window keeps some rows for itself: take it taller, cut it below.
    width, height = (int(answer[side]) + 2 * _MARGIN + 1 for side in ("width", "height"))
    shot = folder / "shot.png"
    _chromium(
        browser,
        folder,
        f"--screenshot={shot}",
        f"--window-size={max(width, 500)},{height + 200}",
        f"--force-device-scale-factor={diagrams.SCALE}",
        "--hide-scrollbars",
        page.as_uri(),
    )
    return _small(shot, width * diagrams.SCALE, height * diagrams.SCALE)


def _small(path: Path, width: int, height: int) -> bytes:
    """Cut a screenshot to its size, and return it as PNG with few colours."""
    from PIL import Image

    with Image.open(path) as image:
        cut = image.convert("RGB").crop((0, 0, width, height))
    data = b""
    for colours in _COLOURS:
        buffer = io.BytesIO()
        cut.quantize(colours, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        data = buffer.getvalue()
        if len(data) <= diagrams.MAX_BYTES:
            break
    return data


def _chromium(browser: str, folder: Path, *arguments: str) -> str:
    """Run Chromium without a window and without its network habits; return what it prints."""
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        f"--user-data-dir={folder / 'profile'}",
        "--allow-file-access-from-files",
        "--virtual-time-budget=20000",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")  # Chromium refuses its sandbox to root
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, encoding="utf-8", timeout=120)
    except subprocess.TimeoutExpired:
        raise CourseError("Chromium did not answer within two minutes; run the command again.") from None
    if done.returncode:
        raise CourseError(f"Chromium ended with exit code {done.returncode}; run the command again.")
    return done.stdout


def _browser() -> str:
    """Return the Chromium to draw with: $ADVREC_CHROMIUM or the first one installed."""
    names = [os.environ["ADVREC_CHROMIUM"]] if os.environ.get("ADVREC_CHROMIUM") else _BROWSERS
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise CourseError("Drawing diagrams needs Chromium; install it, or set ADVREC_CHROMIUM to its path.")
    return found


def _mermaid(root: Path) -> Path:
    """Return Mermaid's script, fetched with npm the first time and checked every time."""
    script = root / "build" / "mermaid" / f"mermaid-{MERMAID}.min.js"
    if not script.is_file():
        replace(script, _fetch_mermaid())
    if hashlib.sha256(script.read_bytes()).hexdigest() != MERMAID_SHA256:
        raise CourseError(f"{script} is not Mermaid {MERMAID} as published; delete it and run this again.")
    return script


def _fetch_mermaid() -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise CourseError("Drawing diagrams needs npm once, to fetch Mermaid; install Node.js.")
    with tempfile.TemporaryDirectory(prefix="advrec-mermaid-") as folder:
        done = subprocess.run(
            [npm, "pack", "--silent", f"mermaid@{MERMAID}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise CourseError(f"npm could not fetch mermaid@{MERMAID}; check the network and run this again.")
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(_MEMBER)
            if member is None:
                raise CourseError(f"mermaid@{MERMAID} holds no {_MEMBER}.")
            return member.read()
