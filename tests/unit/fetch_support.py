"""A package index of one's own: small wheels, a list of sources, and a server that can be slow or broken."""

import base64
import hashlib
import json
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from advrec_teach import fetch

PACKAGE, VERSION = "tiny-assets", "1.0"
WHEEL = "tiny_assets-1.0-py3-none-any.whl"
MEMBERS = {
    "tiny/model/config.json": b'{"layers": 6}',
    "tiny/model/1_Pooling/config.json": b'{"pooling": "mean"}',
    "tiny/numbers.bin": bytes(range(256)) * 4096,
    "tiny/code.py": b"raise SystemExit('nothing of a wheel is run')",
}
MODEL = {"config.json": "tiny/model/config.json", "1_Pooling/config.json": "tiny/model/1_Pooling/config.json"}
NUMBERS = {"numbers.bin": "tiny/numbers.bin"}


def make_wheel(folder: Path, members: dict[str, bytes] = MEMBERS) -> Path:
    """Write a wheel that pip accepts."""
    about = f"{WHEEL.split('-py3')[0]}.dist-info"
    everything = {
        **members,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_record(body)},{len(body)}\n" for name, body in everything.items())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, body in {**everything, f"{about}/RECORD": (record + f"{about}/RECORD,,\n").encode()}.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), body)
    return path


def _record(body: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def make_listing(path: Path, wheel: bytes, files: dict[str, dict[str, str]], **changes) -> Path:
    """Write a list of sources; ``changes`` overwrite fields of every member."""
    lines = []
    for name, targets in files.items():
        lines += [f"[{name}]", f'package = "{PACKAGE}"', f'version = "{VERSION}"']
        lines += [f'{key} = "{name} {key}"' for key in ("title", "about", "origin", "licence", "citation", "terms")]
        lines += [f'wheel = {{ size = {len(wheel)}, sha256 = "{hashlib.sha256(wheel).hexdigest()}" }}']
        for target, member in targets.items():
            body = MEMBERS.get(member, b"")
            entry = {"member": member, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()} | changes
            lines += [f'[{name}.files."{target}"]', *(f"{key} = {json.dumps(value)}" for key, value in entry.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Shop:
    """Where things are in one test: wheels, the list, the target."""

    def __init__(self, root: Path):
        self.wheels, self.target = root / "wheels", root / "data"
        self.wheel = make_wheel(self.wheels)
        self.listing = make_listing(
            root / "sources.toml", self.wheel.read_bytes(), {"model": MODEL, "numbers": NUMBERS}
        )

    def contents(self) -> set[str]:
        """Every file in the target but the lock."""
        found = {path.relative_to(self.target).as_posix() for path in self.target.rglob("*") if path.is_file()}
        return found - {".fetch.lock"}

    def is_clean(self) -> bool:
        """Nothing is left of a fetch that did not succeed."""
        return {path.name for path in self.target.glob("*")} <= {".fetch.lock"}


COMPLETE = {
    *("model/config.json", "model/1_Pooling/config.json", "model/LICENCE.txt", "model/.verified.json"),
    *("numbers/numbers.bin", "numbers/LICENCE.txt", "numbers/.verified.json"),
}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Make pip see the folder of wheels and nothing else, whatever this machine's settings are."""
    made = Shop(tmp_path)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.wheels))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return made


@pytest.fixture(scope="session")
def fetched(tmp_path_factory):
    """The files of the shop, fetched once from its wheel; only the download is replaced."""
    made = Shop(tmp_path_factory.mktemp("fetched"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "_download", lambda source, work, progress: make_wheel(work / "wheel"))
        fetch.fetch(target=made.target, listing=made.listing, progress=False)
    return made.target


@pytest.fixture
def full_shop(shop, fetched):
    """A shop whose target is complete: times and stamps included."""
    shutil.copytree(fetched, shop.target)
    return shop


class Index(ThreadingHTTPServer):
    """A package index on this machine that counts downloads and can hold one back or cut it short."""

    def __init__(self, body: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body, self.downloads = body, 0
        self.promised: int | None = None  # a Content-Length that is not the truth
        self.gate = threading.Event()  # half of the wheel is sent before it opens
        self.gate.set()
        self.half_sent = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple/"

    def handle_error(self, request, client_address):
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self):
        if not self.path.endswith(".whl"):
            page = f'<!DOCTYPE html><html><body><a href="/files/{WHEEL}">{WHEEL}</a></body></html>'.encode()
            self._head("text/html", len(page))
            self.wfile.write(page)
            return
        self.server.downloads += 1
        body = self.server.body
        self._head("application/octet-stream", self.server.promised or len(body))
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.server.half_sent.set()
        self.server.gate.wait(60)
        self.wfile.write(body[len(body) // 2 :])

    def _head(self, kind: str, length: int):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def index(shop, monkeypatch):
    """Serve the wheel of the shop over HTTP instead of from the folder."""
    server = Index(shop.wheel.read_bytes())
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()
