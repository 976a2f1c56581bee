"""The steps that execute notebooks have no network, and the guard that takes it away bites."""

import subprocess
import sys

import pytest

from tests.__main__ import OFFLINE, ROOT, environment, steps


def ask(code: str, step: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], env=environment(step), capture_output=True, text=True, cwd=ROOT)


def test_the_steps_without_a_network_are_those_that_execute_notebooks():
    names = [name for name, _ in steps()]
    assert set(OFFLINE) <= set(names)
    assert names.index("data") < min(names.index(name) for name in OFFLINE)


@pytest.mark.parametrize(
    "code",
    [
        "import urllib.request; urllib.request.urlopen('http://example.org', timeout=1)",
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import socket; socket.socket().connect(('192.0.2.1', 80))",
        "import socket; socket.socket(socket.AF_INET6).connect_ex(('2001:db8::1', 80))",
    ],
)
@pytest.mark.parametrize("step", OFFLINE)
def test_whoever_looks_beyond_this_machine_fails(code, step):
    done = ask(code, step)
    assert done.returncode == 1
    assert "There is no network here" in done.stderr


def test_a_kernel_still_reaches_its_client():
    code = (
        "import socket; server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen();"
        "socket.create_connection(('localhost', server.getsockname()[1])).close(); print('met')"
    )
    assert ask(code, OFFLINE[0]).stdout == "met\n"


def test_other_steps_keep_their_network():
    assert "offline" not in environment("data").get("PYTHONPATH", "")
