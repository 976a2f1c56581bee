"""What `fetch` brings when all goes well, and what it leaves alone. Failures: test_fetch_failures.py."""

import hashlib
import os
import re
import shutil
import sys

import fetch_support as support
import pytest
from fetch_support import COMPLETE, MEMBERS, MODEL, NUMBERS, PACKAGE, make_listing

from advrec_teach import fetch, paths, pip_download
from advrec_teach.errors import CourseError

# The fixtures that this file uses.
fetched, full_shop, index, shop = support.fetched, support.full_shop, support.index, support.shop


def bring(shop, names=None, **settings):
    return fetch.fetch(names, target=shop.target, listing=shop.listing, **settings)


@pytest.fixture
def forbid(monkeypatch):
    """Make a function of the module fail the test when it is called."""

    def add(*names):
        for name in names:
            monkeypatch.setattr(fetch, name, lambda *_, name=name: pytest.fail(f"{name} was called"))

    return add


def test_everything_arrives_in_its_folders_and_nothing_else_stays(shop, capsys):
    found = bring(shop)
    assert found == {"model": shop.target / "model", "numbers": shop.target / "numbers"}
    assert shop.contents() == COMPLETE
    for target, member in MODEL.items():
        assert (shop.target / "model" / target).read_bytes() == MEMBERS[member]
    assert (shop.target / "numbers" / "numbers.bin").read_bytes() == MEMBERS["tiny/numbers.bin"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["model title", "numbers title"]


def test_the_licence_file_says_where_it_comes_from_and_how_to_cite_it(shop):
    bring(shop, ["numbers"])
    text = (shop.target / "numbers" / "LICENCE.txt").read_text()
    for part in ("title", "origin", "licence", "citation", "terms"):
        assert f"numbers {part}" in text
    assert f"{PACKAGE} 1.0" in text


def test_only_what_is_named_is_fetched(shop, capsys):
    assert bring(shop, ["numbers"], progress=False) == {"numbers": shop.target / "numbers"}
    assert shop.contents() == {file for file in COMPLETE if file.startswith("numbers/")}
    assert capsys.readouterr().out == ""


def test_one_name_may_be_given_as_a_string(shop):
    assert list(bring(shop, "numbers")) == ["numbers"]


def test_a_second_call_reads_and_writes_nothing(full_shop, forbid):
    before = {path: path.stat().st_mtime_ns for path in full_shop.target.rglob("*")}
    forbid("_download", "_sha256", "_stamp")
    bring(full_shop)
    assert {path: path.stat().st_mtime_ns for path in full_shop.target.rglob("*")} == before


def test_two_sources_of_one_wheel_need_one_download(shop, index):
    bring(shop)
    assert index.downloads == 1
    assert shop.contents() == COMPLETE


def test_files_that_came_another_way_are_verified_and_kept(full_shop, forbid):
    copy = full_shop.target.with_name("copied")
    shutil.copytree(full_shop.target, copy, copy_function=shutil.copyfile)
    (copy / "numbers" / ".verified.json").unlink()
    forbid("_download")
    fetch.fetch(target=copy, listing=full_shop.listing)
    forbid("_sha256")
    fetch.fetch(target=copy, listing=full_shop.listing)


@pytest.mark.parametrize("damage", ["another byte", "shorter", "gone", "stamp gone and another byte"])
def test_what_was_damaged_is_fetched_again(full_shop, damage):
    path = full_shop.target / "numbers" / "numbers.bin"
    body = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "shorter":
        path.write_bytes(body[:-1])
    else:
        path.write_bytes(b"x" + body[1:])
        os.utime(path, ns=(0, 0))  # or the change may fall into the clock's resolution
    if damage.startswith("stamp"):
        (full_shop.target / "numbers" / ".verified.json").unlink()
    kept = (full_shop.target / "model" / "config.json").stat().st_mtime_ns
    bring(full_shop)
    assert path.read_bytes() == body
    assert full_shop.contents() == COMPLETE
    assert (full_shop.target / "model" / "config.json").stat().st_mtime_ns == kept


def test_a_file_that_was_only_touched_is_read_and_not_fetched(full_shop, forbid):
    os.utime(full_shop.target / "numbers" / "numbers.bin", ns=(0, 0))
    forbid("_download")
    bring(full_shop)
    forbid("_sha256")
    bring(full_shop)


@pytest.mark.parametrize("stamp", ["", "[]", "not json", "{}"])
def test_a_damaged_stamp_is_made_anew(full_shop, forbid, stamp):
    (full_shop.target / "model" / ".verified.json").write_text(stamp)
    forbid("_download")
    bring(full_shop)
    forbid("_sha256")
    bring(full_shop)


def test_another_version_of_the_list_is_verified_again(full_shop, forbid):
    full_shop.listing.write_text(full_shop.listing.read_text().replace("numbers licence", "numbers new licence"))
    forbid("_download")
    bring(full_shop)
    assert "new licence" in (full_shop.target / "numbers" / "LICENCE.txt").read_text()
    forbid("_sha256")
    bring(full_shop)


def test_missing_names_what_is_not_there(shop, monkeypatch):
    monkeypatch.setattr(paths, "sources_file", lambda: shop.listing)
    assert fetch.missing(target=shop.target) == ["model", "numbers"]
    assert not shop.target.exists()
    bring(shop, ["model"])
    assert fetch.missing(target=shop.target) == ["numbers"]
    assert fetch.missing(["model"], target=shop.target) == []


def test_the_data_folder_of_the_course_is_the_default(shop, monkeypatch):
    monkeypatch.setenv("ADVREC_DATA", str(shop.target))
    monkeypatch.setattr(paths, "sources_file", lambda: shop.listing)
    fetch.fetch(["model"])
    assert fetch.missing() == ["numbers"]


def test_pip_is_that_of_this_python_and_takes_one_wheel_only(shop, monkeypatch):
    commands = []
    real = pip_download.subprocess.Popen

    def spy(command, **settings):
        commands.append(command)
        return real(command, **settings)

    monkeypatch.setattr(pip_download.subprocess, "Popen", spy)
    bring(shop)
    (command,) = commands
    assert command[0] == sys.executable
    assert {"download", f"{PACKAGE}==1.0", "--no-deps", "--only-binary=:all:"} <= set(command)


def test_the_bar_counts_bytes_on_a_terminal(shop, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bring(shop)
    assert re.search(r"model title: +\d+%.*1\.05MB?", capsys.readouterr().err)


def test_an_unknown_name_is_answered_with_the_known_ones(shop):
    with pytest.raises(CourseError, match=r"nothing named 'movie' to fetch\. Choose from: model, numbers\."):
        bring(shop, ["model", "movie"])
    assert not shop.target.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-40], "cannot be used"),
        (lambda text: text.replace("citation", "zitat"), "cannot be used"),
        (lambda text: text.replace('."config.json"', '."../config.json"'), r"'../config.json' is no path below"),
        (lambda text: text.replace('."config.json"', '."/etc/config.json"'), "is no path below"),
        (lambda text: text.replace("[numbers", "[.numbers".replace(".", '".."')), "is no path below|cannot be used"),
        (lambda text: text.replace("size", "bytes"), "cannot be used"),
    ],
)
def test_a_malformed_list_is_refused_before_anything_happens(shop, change, message):
    shop.listing.write_text(change(shop.listing.read_text()))
    with pytest.raises(CourseError, match=message) as caught:
        bring(shop)
    assert "\n" not in str(caught.value)
    assert not shop.target.exists()


def test_a_list_that_is_not_there_is_named(shop):
    with pytest.raises(CourseError, match=r"nowhere\.toml cannot be used"):
        fetch.fetch(target=shop.target, listing=shop.listing.with_name("nowhere.toml"))


# --- the course's own list --------------------------------------------------------------------------


def test_the_list_of_the_course_is_complete():
    listed = fetch.sources()
    assert list(listed) == ["movielens", "reviews", "minilm", "smollm2"]
    for source in listed.values():
        for digest in (source.wheel_sha256, *(member.sha256 for member in source.files.values())):
            assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert all(member.size > 0 for member in source.files.values())
        assert source.origin.startswith("https://")
        assert "\n\n\n" not in source.notice()
    assert listed["movielens"].wheel_sha256 == listed["reviews"].wheel_sha256
    # Nothing is ever unpickled or run.
    allowed = {".parquet", ".json", ".safetensors", ".txt", ".md", ".gguf", ""}
    assert {os.path.splitext(file)[1] for source in listed.values() for file in source.files} <= allowed


@pytest.mark.parametrize("name", ["movielens", "reviews", "minilm", "smollm2"])
def test_what_is_on_this_machine_has_the_listed_checksums(name):
    if fetch.missing([name]):
        pytest.skip(f"run `advrec data {name}`")
    source = fetch.sources()[name]
    for target, member in source.files.items():
        body = (paths.data_dir() / name / target).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (member.size, member.sha256)


def table_rows():
    """The tables of data/README.md as they have to be."""
    for name, source in fetch.sources().items():
        size = sum(member.size for member in source.files.values())
        what = f"{source.title}: {source.about}"
        yield f"| `{name}` | {what} | {size / 1e6:.1f} MB | {source.licence} | <{source.origin}> |"
    for name, source in fetch.sources().items():
        yield f"| `{name}` | `{source.package}=={source.version}` | {source.wheel_size:,} | `{source.wheel_sha256}` |"
    for name, source in fetch.sources().items():
        for target, member in source.files.items():
            yield f"| `{name}/{target}` | {member.size:,} | `{member.sha256}` |"
    for source in fetch.sources().values():
        yield f"- {source.title}: {source.citation}"


@pytest.mark.skipif(paths.repository() is None, reason="the README is part of the checkout")
def test_the_readme_of_the_data_says_what_the_list_says():
    lines = (paths.repository() / "data" / "README.md").read_text(encoding="utf-8").splitlines()
    rows = list(table_rows())
    assert [line for line in lines if line in set(rows)] == rows, "\n".join(["data/README.md needs:", *rows])
    # And no checksum of an older list.
    assert [line for line in lines if re.search(r"[0-9a-f]{64}", line)] == [
        row for row in rows if re.search(r"[0-9a-f]{64}", row)
    ]


def test_a_copy_of_the_list_with_own_entries_works(tmp_path, shop):
    listing = make_listing(tmp_path / "own.toml", shop.wheel.read_bytes(), {"own": NUMBERS})
    assert fetch.fetch(target=shop.target, listing=listing) == {"own": shop.target / "own"}
