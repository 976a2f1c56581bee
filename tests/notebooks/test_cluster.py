"""``--cluster``: on a real Ray cluster of two nodes on this machine, one of which is lost on the way."""

import csv
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from machine import BEGIN, Machine, wait_for

from advrec_teach.course import cluster, jobs, run, sweep
from advrec_teach.course.jobs import Job, Outcome
from advrec_teach.errors import CourseError


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "checkout")


@pytest.fixture
def two_nodes(monkeypatch) -> Iterator[tuple[Any, Any]]:
    """Start a head and a second node, one processor each, without what only an operator needs."""
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_enable_worker_prestart": "0",
        "RAY_prestart_worker_first_driver": "0",
    }.items():
        monkeypatch.setenv(name, value)
    utils = pytest.importorskip("ray.cluster_utils")
    size = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_log_monitor": False}
    # On a busy machine a node now and then misses Ray's own deadline of 30 s for its start.
    for attempt in range(3):
        made = utils.Cluster()
        try:
            made.add_node(**size, include_dashboard=False, no_monitor=True)
            second = made.add_node(**size)
            made.wait_for_nodes()
            break
        except Exception:
            made.shutdown()
            if attempt == 2:
                raise
    yield made, second
    made.shutdown()


def test_runs_and_sweeps_come_back_even_when_a_node_is_lost(machine, two_nodes, tmp_path, capsys):
    # One test for both, because a cluster takes long to start.
    made, second = two_nodes
    check_run(machine, made.address, capsys)
    check_sweep(machine, made, second, tmp_path)
    import ray

    assert not ray.is_initialized()  # this process has left the cluster


def check_run(machine, address, capsys):
    """Two notebooks: their copies and records are on this machine, and one that fails fails alone."""
    show = "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['ADVREC_STRICT'], PROFILE)"
    machine.notebook("80_fine", BEGIN.format(number="80"), 'claim("it holds", True)', show)
    machine.notebook("81_raises", "1 / 0")
    assert run.run(machine.root, track="pytorch", html=False, cluster=address) == 1
    text = capsys.readouterr().out
    assert "1 of 2 notebooks failed:" in text
    assert "81_raises pytorch: failed: ZeroDivisionError" in text
    assert machine.record("80_fine")["claims"][0]["value"] is True
    assert machine.record("80_fine")["threads"] == "1"  # a node has one processor
    assert "1 1 quick" in machine.place("run/quick/student/pytorch/80_fine.ipynb").read_text()


def check_sweep(machine, made, second, tmp_path):
    """Five points; a node is lost while each of the two has one of them."""
    log, gone = tmp_path / "log", tmp_path / "gone"
    machine.lesson(
        "90_swept",
        BEGIN.format(number="90"),
        f"import os\nwith open({str(log)!r}, 'a') as stream:\n    stream.write(f'{{SEED}} {{os.getpid()}}\\n')",
        f"import time\nwhile SEED < 2 and not Path({str(gone)!r}).exists():\n    time.sleep(0.05)",
        'claim("ten times the seed", SEED * 10.0)',
    )
    trouble: list[BaseException] = []

    def begun() -> list[list[str]]:
        """SEED and process of every kernel that has begun."""
        return [line.split() for line in log.read_text().splitlines()]

    def alive(process: int) -> bool:
        try:
            return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def lose_a_node() -> None:
        try:
            wait_for(lambda: log.exists() and len(begun()) == 2)
            made.remove_node(second, allow_graceful=False)
            # Its processes live a moment longer; let go now, the one that runs there could still hand in its result.
            wait_for(lambda: not all(alive(int(kernel)) for _, kernel in begun()))
        except BaseException as error:
            trouble.append(error)
        gone.touch()

    losing = threading.Thread(target=lose_a_node)
    losing.start()
    try:
        code = sweep.sweep(machine.root, "90", ["SEED=0:5"], track="pytorch", cluster=made.address)
    finally:
        losing.join()
    assert not trouble
    assert code == 0
    starts = sorted(seed for seed, _ in begun())
    # One of the first two was lost with its node and started again elsewhere.
    assert starts in (["0", "0", "1", "2", "3", "4"], ["0", "1", "1", "2", "3", "4"])
    with machine.place("sweep/90/claims.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["SEED"], float(row["value"])) for row in rows] == [(str(seed), seed * 10.0) for seed in range(5)]
    assert len(list(machine.place("sweep/90/points").glob("*.json"))) == 5


def test_another_version_of_the_package_is_refused():
    import zlib

    text = Job("90_a", "pytorch", "quick", source="{}").to_json()
    outcome = Outcome.from_json(zlib.decompress(cluster._task(text, "another")).decode())
    assert outcome.status == jobs.FAILED
    assert socket.gethostname() in outcome.message and "install the same" in outcome.message


def test_without_ray_the_extra_is_named(machine, monkeypatch):
    machine.notebook("90_a", "1")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CourseError, match=r"pip install 'advrec-teach\[cluster\]'"):
        run.run(machine.root, track="pytorch", cluster="127.0.0.1:6379")
    assert not machine.place("run").exists()


@pytest.mark.parametrize("address", ["nowhere", "host:", ":1", "127.0.0.1:port"])
def test_what_is_no_address_is_refused(machine, address):
    machine.notebook("90_a", "1")
    with pytest.raises(CourseError, match="give host:port of the cluster's head, or auto"):
        run.run(machine.root, track="pytorch", cluster=address)


def test_an_address_where_nobody_listens_is_refused_at_once(machine):
    machine.notebook("90_a", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(CourseError, match=f"No Ray cluster answers at {address}: .*refused"):
            run.run(machine.root, track="pytorch", cluster=address)
        assert time.monotonic() - start < 30  # Ray itself would try for minutes
