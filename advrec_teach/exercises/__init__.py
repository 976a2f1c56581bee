"""Checked exercises: ``exercise("08.1").check(answer)``, ``.hint()``, ``.solution()``."""

from advrec_teach.exercises.core import Exercise, Misconception, exercise, exercises

__all__ = ["Exercise", "Misconception", "exercise", "exercises"]
