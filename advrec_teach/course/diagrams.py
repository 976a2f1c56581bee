"""Mermaid diagrams, with a picture for every place that does not draw them.

A lesson writes its diagram as text in a ```` ```mermaid ```` block. JupyterLab draws
such a block; Colab, a printed page and many editors do not. So the built notebook shows a
picture of it and keeps the text folded below. The picture sits in the Markdown as PNG in
a data address, the one form that Colab shows too: it only has the notebook, not the files
beside it, and it shows neither attachments nor SVG.

Pictures are kept in ``lessons/diagrams`` under a name made from the diagram's text, so a
picture can't go stale unnoticed. ``advrec build --diagrams`` draws those that are missing.
"""

import base64
import hashlib
import html
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from advrec_teach.errors import CourseError

FOLDER = "diagrams"
MAX_BYTES = 60_000
# Pixels of the picture per pixel on the page.
SCALE = 2
# A picture drawn with other settings than these is another picture.
STYLE = "1"

_FENCE = re.compile(r"^```mermaid[ \t]*\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^[ \t]*accTitle[ \t]*:[ \t]*(?P<title>\S.*?)[ \t]*$", re.MULTILINE)
_PNG = b"\x89PNG\r\n\x1a\n"


def texts(source: str) -> list[str]:
    """Return the text of each Mermaid block in a Markdown cell."""
    return [found["text"] for found in _FENCE.finditer(source)]


def picture(folder: Path, text: str) -> Path:
    """Return where the picture of a diagram is kept, below the lessons' ``folder``."""
    digest = hashlib.sha256(f"{STYLE}\n{text}".encode()).hexdigest()[:16]
    return Path(folder) / FOLDER / f"{digest}.png"


def problems(folder: Path, source: str) -> Iterator[str]:
    """Yield what is wrong with the diagrams of a Markdown cell."""
    if len(re.findall(r"^[ \t]*(?:```|~~~)[ \t]*mermaid", source, re.MULTILINE)) != len(texts(source)):
        yield "a Mermaid block starts with a line ```mermaid and ends with a line ```, both without indent."
        return
    for text in texts(source):
        if not _TITLE.search(text):
            yield "a diagram needs a line `accTitle: ...`, which says in words what it shows."
        path = picture(folder, text)
        if not path.is_file():
            yield "the diagram has no picture yet, or has changed since; run `advrec build --diagrams`."
        elif path.stat().st_size > MAX_BYTES:
            yield f"its picture {FOLDER}/{path.name} has more than {MAX_BYTES // 1000} kB; draw it as two diagrams."
        elif _size(path.read_bytes()) is None:
            yield f"{FOLDER}/{path.name} is no PNG picture; delete it and run `advrec build --diagrams`."


def embed(folder: Path, source: str) -> str:
    """Return the Markdown with each diagram's picture in it, and its text folded below.

    Raises
    ------
    CourseError
        If a picture is missing.
    """

    def block(found: re.Match[str]) -> str:
        path = picture(folder, found["text"])
        data = path.read_bytes() if path.is_file() else b""
        size = _size(data)
        title = _TITLE.search(found["text"])
        if size is None or title is None:
            raise CourseError(f"lessons/{FOLDER}/{path.name} is missing; run `advrec build --diagrams`.")
        alt = html.escape(title["title"])
        code = base64.b64encode(data).decode("ascii")
        return (
            f'<img alt="{alt}" width="{round(size[0] / SCALE)}" src="data:image/png;base64,{code}">\n\n'
            f"<details><summary>The diagram in Mermaid</summary>\n\n{found[0]}\n\n</details>"
        )

    return _FENCE.sub(block, source)


def _size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG picture in pixels, or None if it is none."""
    if len(data) < 24 or not data.startswith(_PNG) or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height
