"""The peers' virtual environments: made on first use from ``peers.toml``, one for each peer.

The peers' requirements clash with each other and with the course's pins, so no two of them share an environment and
none of them is ever imported by the course's own interpreter.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".peers"
CONSTRAINTS = HERE / "constraints"


class PeerError(RuntimeError):
    """A peer's environment could not be made."""


@dataclass(frozen=True)
class Peer:
    """What ``peers.toml`` says of one peer."""

    name: str
    install: tuple[str, ...]
    install_without_dependencies: tuple[str, ...]
    reports: tuple[str, ...]

    @property
    def python(self) -> Path:
        """The interpreter of the peer's environment."""
        folder = ENVIRONMENTS / self.name
        windows = folder / "Scripts" / "python.exe"
        return windows if windows.exists() else folder / "bin" / "python"

    @property
    def constraints(self) -> Path:
        """The pins of everything that pip chose besides what ``peers.toml`` names."""
        return CONSTRAINTS / f"{self.name}.txt"

    def fingerprint(self) -> str:
        """Change whenever the environment has to be made anew."""
        pins = self.constraints.read_text() if self.constraints.exists() else ""
        recipe = [self.install, self.install_without_dependencies, pins, sys.version_info[:2]]
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]


def read(path: Path = HERE / "peers.toml") -> dict[str, Peer]:
    """Read the list of peers; every requirement has to be pinned exactly."""
    peers = {}
    for name, entry in tomllib.loads(path.read_text()).items():
        peer = Peer(
            name=name,
            install=tuple(entry["install"]),
            install_without_dependencies=tuple(entry.get("install_without_dependencies", ())),
            reports=tuple(entry["reports"]),
        )
        for requirement in peer.install + peer.install_without_dependencies:
            if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[A-Za-z0-9.+!]+", requirement):
                raise PeerError(f"{path.name}: {name}: '{requirement}' is not pinned with ==")
        peers[name] = peer
    return peers


def _pip(peer: Peer, *arguments: str) -> str:
    command = [str(peer.python), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise PeerError(f"{peer.name}: pip {arguments[0]} failed\n{tail}")
    return done.stdout


def ensure(peer: Peer, *, say=print) -> None:
    """Make the peer's environment unless one made from the same recipe is there."""
    folder = ENVIRONMENTS / peer.name
    stamp = folder / "advrec-recipe"
    if stamp.exists() and stamp.read_text() == peer.fingerprint():
        return
    say(f"making the environment of {peer.name} in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pins = ["--constraint", str(peer.constraints)] if peer.constraints.exists() else []
    _pip(peer, "install", "--quiet", *pins, *peer.install)
    if peer.install_without_dependencies:
        _pip(peer, "install", "--quiet", "--no-deps", *pins, *peer.install_without_dependencies)
    if not pins:
        lock(peer)
    stamp.write_text(peer.fingerprint())


def lock(peer: Peer) -> None:
    """Write what is installed now as the peer's constraints, without local build tags (``+cpu``)."""
    lines = []
    for line in _pip(peer, "freeze", "--all").splitlines():
        name, _, version = line.partition("==")
        if version and name.lower() not in {"pip", "setuptools", "wheel"}:
            lines.append(f"{name}=={version.partition('+')[0]}")
    CONSTRAINTS.mkdir(exist_ok=True)
    peer.constraints.write_text("\n".join(sorted(lines, key=str.lower)) + "\n")


def versions(peer: Peer) -> dict[str, str]:
    """The versions of the distributions that the peer reports, as its own interpreter sees them."""
    script = "import importlib.metadata as m, json, sys;print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    command = [str(peer.python), "-c", script, *peer.reports]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
