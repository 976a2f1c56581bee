"""One set of versions: constraints.txt has them, environment.yml repeats them, pyproject.toml admits them."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from advrec_teach import paths

ROOT = paths.repository()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^=\s]+", line) for line in found)
    return found


def environment():
    text = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return text["dependencies"], next(entry["pip"] for entry in text["dependencies"] if isinstance(entry, dict))


def test_conda_users_get_the_same_versions():
    _, listed = environment()
    assert [line for line in listed if not line.startswith("--editable")] == pins()


def test_conda_users_get_the_course_and_a_fitting_python():
    dependencies, listed = environment()
    assert "--editable .[pytorch,tensorflow,course,cluster]" in listed
    (python,) = [entry for entry in dependencies if isinstance(entry, str) and entry.startswith("python=")]
    assert python.removeprefix("python=") in PROJECT["requires-python"]


@pytest.mark.parametrize("extra", ["", "pytorch", "tensorflow", "course", "cluster"])
def test_every_requirement_is_pinned_to_a_version_that_it_admits(extra):
    versions = {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins())}
    listed = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    for line in listed:
        wanted = Requirement(line)
        version = versions.get(canonicalize_name(wanted.name))
        assert version, f"{wanted.name} has no pin"
        assert wanted.specifier.contains(version), f"{line} does not admit {version}"


def test_the_core_is_light_and_leaves_a_hosted_sessions_versions_alone():
    names = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert not names & {"torch", "tensorflow", "keras", "jupyterlab", "papermill", "nbgrader"}
    for line in PROJECT["dependencies"]:
        assert {spec.operator for spec in Requirement(line).specifier} == {">="}, f"{line} sets an upper bound"
