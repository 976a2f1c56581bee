"""The wheel works outside the repository: everything that a notebook needs is in it."""

import os
import subprocess
import sys
import zipfile

import pytest

from advrec_teach import paths


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(paths.repository())], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_what_a_notebook_needs_and_no_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "advrec_teach/_sources.toml" in names
    assert "advrec_teach/exercises/solutions.json" in names
    assert any(name.startswith("advrec_teach/_bands/") and name.endswith(".json") for name in names)
    assert any(name.endswith("licenses/LICENSE-TEXT") for name in names)
    assert not [name for name in names if name.endswith((".parquet", ".brotli", ".safetensors", ".gguf", ".ipynb"))]
    assert not [name for name in names if name.startswith(("tests", "lessons", "benchmarks"))]


def test_it_works_where_there_is_no_repository(wheel, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    program = """
import advrec_teach, json
from advrec_teach import data, exercise, paths, tracks
assert advrec_teach.__file__.startswith(SITE), advrec_teach.__file__
assert paths.repository() is None
assert list(paths.bands_dir().glob("*.json"))
assert paths.sources_file().is_file()
tracks.activate("pytorch")
exercise("08.1").solution()
exercise("08.4").check("c")
assert data.movielens(source="synthetic").n_users
try:
    data.movielens()
except advrec_teach.errors.CourseError as error:
    assert "advrec data movielens" in str(error)
else:
    raise AssertionError("data out of nowhere")
"""
    environment = {
        **os.environ,
        "PYTHONPATH": str(target),
        "ADVREC_STATE": str(tmp_path / "state"),
        "ADVREC_DATA": str(tmp_path / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-c", program.replace("SITE", repr(str(target)))],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
