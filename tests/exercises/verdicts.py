"""What the tests of every lesson's exercises ask of a check."""

from advrec_teach.exercises import exercise
from advrec_teach.exercises.core import NOT_YET


def refused(identifier, answer, *words):
    """Return the message with which an exercise refuses an answer, after looking for these words in it."""
    verdict = exercise(identifier).judge(answer)
    assert verdict.status == NOT_YET, verdict.message
    for word in words:
        assert word in verdict.message, verdict.message
    return verdict.message
