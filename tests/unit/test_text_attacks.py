"""Edits of words, what they may be, and the search: its budget, its queries, what it counts."""

import numpy as np
import pytest

from advrec_teach import text_attacks as attacks

LABELS = np.array([1, 1, 0])
TEXTS = ["Good dress, good fit", "bad colour", "bad seam"]


def logits(listed):
    """Call a text good if it says "good" or "nice" more often than "bad"."""
    score = [sum({"good": 1, "nice": 1, "bad": -1}.get(w.lower(), 0) for w in attacks.words(t)) for t in listed]
    return np.array([[-s, s] for s in score], float) + np.array([0.1, 0.0])


def options(word):
    return {"good": ["bad", "nice"], "seam": ["hem"]}.get(word.lower(), [])


def test_rewriting_keeps_all_but_the_word():
    assert attacks.rewrite("It's Good, GOOD & good!", {1: "bad", 3: "poor"}) == "It's Bad, GOOD & poor!"
    assert attacks.rewrite("GOOD", {0: "bad"}) == "BAD"
    assert attacks.rewrite("text", {}) == "text"
    with pytest.raises(IndexError, match="the text has 1"):
        attacks.rewrite("one", {1: "two"})


def test_typos_keep_first_and_last_letter_and_differ():
    made = attacks.typos("Soft")
    assert len(made) == len(set(made)) > 10
    assert all(new[0] == "s" and new[-1] == "t" and new != "soft" for new in made)
    assert attacks.typos("soft", kinds=("swap",)) == ["sfot"]
    assert attacks.typos("soft", kinds=("drop",)) == ["sft", "sot"]
    assert attacks.typos("not") == attacks.typos("don't") == attacks.typos("with") == []
    with pytest.raises(ValueError, match="No such kind"):
        attacks.typos("soft", kinds=("twist",))


def test_swaps_keep_the_ending_and_bring_another_word():
    words = ["loved", "loving", "liked", "like", "chair"]
    swaps = attacks.Swaps(words, np.array([[1, 0.0], [1, 0.1], [1, 0.2], [1, 0.0], [0, 1.0]]), least=0.5)
    assert swaps("Loved") == ["liked"]
    assert swaps("unknown") == swaps("not") == []
    with pytest.raises(ValueError, match="each word once"):
        attacks.Swaps(["a", "a"], np.eye(2))
    with pytest.raises(ValueError, match="no direction"):
        attacks.Swaps(["a", "b"], np.zeros((2, 2)))


def test_the_estimate_is_exact_where_the_loss_is_linear():
    rng = np.random.default_rng(0)
    gradient, old, vectors = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    found = attacks.swap_estimates(gradient, old, vectors)
    for place, word in np.ndindex(3, 5):
        moved = old.copy()
        moved[place] = vectors[word]
        assert np.isclose(found[place, word], (gradient * moved).sum() - (gradient * old).sum())


def test_a_search_counts_queries_and_only_what_was_right():
    shown = []

    def counted(listed):
        shown.extend(listed)
        return logits(listed)

    found = attacks.search(TEXTS, LABELS, counted, attacks.by_chance(options, count=9), edits=2)
    assert found.queries.sum() == len(shown)
    assert found.right.tolist() == [True, False, True]
    assert found.fooled.tolist() == [True, False, False]
    assert found.success == 0.5
    assert found.after[1] == TEXTS[1]
    assert (attacks.margins(logits(found.after), LABELS)[found.fooled] <= 0).all()
    assert all(attacks.rewrite(t, e) == a for t, e, a in zip(found.before, found.edits, found.after, strict=True))
    np.testing.assert_array_equal(found.by_class(), [0, 1])


def test_budget_constraint_and_bad_settings():
    none = attacks.search(TEXTS, LABELS, logits, attacks.by_chance(options, count=9), edits=0)
    assert none.success == 0
    assert none.after == tuple(TEXTS)
    refused = attacks.search(
        TEXTS, LABELS, logits, attacks.by_chance(options, count=9), edits=2, accept=lambda rows, new: [False] * len(new)
    )
    assert refused.after == tuple(TEXTS)
    with pytest.raises(ValueError, match="as many labels"):
        attacks.search(TEXTS, LABELS[:2], logits, attacks.by_chance(options, count=1), edits=1)


def test_leave_one_out_puts_the_word_first_that_matters():
    order = attacks.leave_one_out(["fine seam, good cut"], [1], logits, options)
    assert [number for number, _ in order[0]] == [2, 1]


def test_html_is_escaped():
    shown = attacks.marked("<b>Good & dear", {1: "bad"})
    assert shown == "&lt;b&gt;<del>Good</del> <b>Bad</b> &amp; dear"
    assert "<i>" not in attacks.marked_table([("<i>", "x")], heads=("<i>", "b"))


def test_the_judged_sample_has_twenty_of_each_kind():
    rows = attacks.judged_edits()
    kinds = [row["kind"] for row in rows]
    assert sorted(kinds.count(kind) for kind in set(kinds)) == [20, 20, 20]
    assert {row["verdict"] for row in rows} <= {"same", "other", "unclear"}


def test_the_gradient_proposes_the_swaps_with_the_highest_estimates():
    vectors = {"good": [1.0, 0.0], "bad": [0.0, 1.0], "nice": [2.0, 0.0]}
    asked = []

    def slopes(rows, listed):
        asked.append((list(rows), list(listed)))
        return np.array([[[0, 0], [-1, 1], [0, 0], [0, 0], [-3, 3], [0, 0], [0, 0]]], float)  # [CLS] good dress , good

    propose = attacks.by_gradient(
        options, slopes, lambda words: np.array([vectors[word] for word in words]), count=3, max_length=7
    )
    found = propose([attacks.State(5, "Good dress, good fit")])
    # bad for good moves by (-1, 1): 2 at the first place, 6 at the other; nice by (1, 0): -1 and -3.
    assert found == [[(2, "bad"), (0, "bad"), (0, "nice")]]
    assert asked == [([5], ["Good dress, good fit"])]
    assert propose([attacks.State(5, "Good dress, good fit", {2})]) == [[(0, "bad"), (0, "nice")]]
