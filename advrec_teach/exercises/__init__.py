"""Checked exercises: ``exercise("08.1").check(answer)``, ``.hint()``, ``.solution()``."""

from advrec_teach.exercises.core import Exercise, Verdict, exercise, exercises

__all__ = ["Exercise", "Verdict", "exercise", "exercises"]
