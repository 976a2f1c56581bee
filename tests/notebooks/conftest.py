"""A small checkout for every test of this folder."""

from pathlib import Path

import pytest
from small_lesson import LESSON, PYPROJECT, Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Give a checkout with one lesson that keeps every rule."""
    (tmp_path / "lessons").mkdir()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    made = Checkout(tmp_path)
    made.write(LESSON)
    return made
