"""Fixtures of every test. A process holds one framework: PyTorch and TensorFlow share one badly.

A test that takes ``track``, ``advrec`` or ``ops`` runs once for each track. The two halves are run one after the
other: ``pytest -m "not tensorflow"``, which holds whatever needs no framework too, and ``pytest -m tensorflow``.
No test module imports a framework at its top, so that collecting the tests imports neither.
"""

import importlib
import os
import sys
from types import ModuleType

import pytest
from hypothesis import settings

# Workers run side by side; a framework's waiting threads would take the other worker's core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

settings.register_profile("course", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "course"))

TRACKS = ("pytorch", "tensorflow")
FRAMEWORKS = {"pytorch": "torch", "tensorflow": "tensorflow"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run both tracks in one process; a parallel worker cannot, and leaves it to ``advrec`` below."""
    if hasattr(session.config, "workerinput"):
        return
    marks = {name for item in session.items for name in TRACKS if item.get_closest_marker(name)}
    if len(marks) > 1 and not session.config.option.collectonly:
        raise pytest.UsageError(
            "these tests need both frameworks, and one process holds only one of them: "
            'run `pytest -m "not tensorflow"` and then `pytest -m tensorflow`'
        )


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in TRACKS],
)
def track(request: pytest.FixtureRequest) -> str:
    """Name of the track that this test runs in."""
    return request.param


@pytest.fixture(scope="session")
def advrec(track: str) -> ModuleType:
    """Return the track's module, set up on the processor."""
    other = next(name for name in TRACKS if name != track)
    assert FRAMEWORKS[other] not in sys.modules, f"{FRAMEWORKS[other]} was imported by a test of the other track"
    module = importlib.import_module(f"advrec_teach.{track}")
    module.setup(device="cpu")
    return module


@pytest.fixture
def quick_compiler(track: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PyTorch trace and differentiate what it compiles, but leave out the C++ compiler and its half minute."""
    if track == "pytorch":
        import torch

        from advrec_teach.pytorch import attacks

        compile = torch.compile
        monkeypatch.setattr(torch, "compile", lambda function: compile(function, backend="aot_eager"))
        attacks._compiled.cache_clear()
        monkeypatch.setattr(attacks, "_compiled", attacks._compiled.__wrapped__)


@pytest.fixture(scope="session")
def ops(track: str, advrec: ModuleType) -> ModuleType:
    """Return the few operations that a test has to write differently in each track, under one set of names."""
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "parity"))
    try:
        return importlib.import_module(f"ops_{track}")
    finally:
        sys.path.pop(0)
