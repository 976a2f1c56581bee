"""The README opens with the two commands, and its course map is that of the measured lessons."""

import re

from advrec_teach import paths
from advrec_teach.course import report

ROOT = paths.repository()
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_opens_with_the_two_commands():
    first = re.search(r"```\n(.*?)```", TEXT, re.DOTALL)
    assert first and [line.split("  ")[0] for line in first[1].splitlines()] == ["make course", "make test"]
    assert TEXT.index("make course") < 200


def test_the_course_map_is_current():
    assert report.readme_is_current(ROOT), "run `advrec map`"


def test_every_lesson_stands_in_the_course_map():
    table = TEXT.split("<!-- course map -->")[1].split("<!-- /course map -->")[0]
    for lesson in (ROOT / "lessons").glob("[0-9][0-9]_*.py"):
        assert lesson.stem[:2] in table


def test_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{name} links to {target}"
