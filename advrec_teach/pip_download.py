"""Download one wheel with pip, with a progress bar, and say in one line what went wrong."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from advrec_teach.errors import CourseError

# `python -m pip`, ended when its standard input closes: a killed parent leaves no download running on.
_PIP = """
import os, runpy, threading
def follow():
    os.read(0, 1)
    os._exit(1)
threading.Thread(target=follow, daemon=True).start()
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

# What pip writes when something is wrong, and what that means for the person who waits. The first match counts.
_TROUBLE = (
    (r"No module named '?\"?pip", "This Python has no pip: run `{python} -m ensurepip`."),
    (r"No space left on device|Disk quota exceeded", "The disk is full: free some space and run `{again}` again."),
    (r"Permission denied|Read-only file system", "pip can't write to {work}."),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "The connection to the package index is not trusted (TLS): check the clock and proxy, run `{again}` again.",
    ),
    (r"407 Proxy|ProxyError", "The proxy refused the connection: check HTTPS_PROXY and run `{again}` again."),
    (
        r"IncompleteRead|IncompleteDownload|Connection broken: |incomplete-download|enough bytes",
        "The download of {package} {version} was cut off: run `{again}` again.",
    ),
    (
        r"is invalid\.|has an invalid wheel|BadZipFile|not a zip file",
        "The download of {package} {version} was cut off or damaged: run `{again}` again.",
    ),
    (
        r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Failed to establish|Failed to connect"
        r"|Max retries exceeded|name resolution|Network is unreachable|Connection refused|Connection reset"
        r"|RemoteDisconnected|timed out|ConnectionError|NetworkConnectionError",
        "The package index can't be reached: check the network and run `{again}` again.",
    ),
    (r"THESE PACKAGES DO NOT MATCH THE HASHES", "The download of {package} {version} has the wrong checksum."),
    (
        r"No matching distribution found|Could not find a version",
        "The package index has no wheel of {package} {version}: try another index, or tell the authors.",
    ),
)


def download(package: str, version: str, work: Path, *, size: int, label: str, again: str, progress: bool) -> Path:
    """Download the wheel ``package==version`` into ``work`` and return its path.

    Parameters
    ----------
    package, version
        What to download; without its dependencies.
    work
        An empty folder, which also takes pip's temporary files.
    size
        Bytes that are expected, for the bar.
    label
        The name on the bar.
    again
        The command that the user may repeat.
    progress
        Show the bar on a terminal.

    Raises
    ------
    CourseError
        If pip ends with an error, in one line.
    """
    inbox, scratch, said = work / "wheel", work / "tmp", work / "pip.txt"
    inbox.mkdir()
    scratch.mkdir()
    command = [sys.executable, "-c", _PIP, "download", f"{package}=={version}", "--dest", str(inbox)]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--retries=2", "--no-color"]
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    environment["PYTHONIOENCODING"] = "utf-8"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            _watch(process, (inbox, scratch), size, label, progress)
        finally:
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
    text = said.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        raise CourseError(_one_line(text, package=package, version=version, again=again, work=work))
    wheels = list(inbox.glob("*.whl"))
    if len(wheels) != 1:
        raise CourseError(f"pip downloaded no wheel of {package} {version}: run `{again}` again.")
    return wheels[0]


def _watch(process: subprocess.Popen[bytes], folders: tuple[Path, ...], size: int, label: str, progress: bool) -> None:
    """Wait for pip; the bar shows how much lies in the folders."""
    if not (progress and sys.stderr.isatty()):
        process.wait()
        return
    from tqdm import tqdm

    with tqdm(total=size, desc=label, unit="B", unit_scale=True, leave=False) as bar:
        while process.poll() is None:
            bar.update(max(0, min(size, _bytes(folders)) - bar.n))
            time.sleep(0.1)


def _bytes(folders: tuple[Path, ...]) -> int:
    total = 0
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except OSError:  # renamed or deleted between listing and looking
                continue
    return total


def _one_line(text: str, **words: object) -> str:
    """Return what pip's output comes down to."""
    for pattern, message in _TROUBLE:
        if re.search(pattern, text, flags=re.IGNORECASE):
            return message.format(python=sys.executable, **words)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or ["no message"])[-1].removeprefix("ERROR:").strip()
    return f"pip could not download {words['package']} {words['version']}: {last[:200]}"
