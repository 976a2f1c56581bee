"""The exercises of lesson 01, in both tracks: what is right passes, each known mistake is named."""

import inspect

import numpy as np
import pytest

from advrec_teach import metrics, splits, tracks
from advrec_teach.exercises import exercises, lesson_01
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET
from advrec_teach.exercises.functions import FunctionExercise

EXERCISES = exercises("01")
FUNCTIONS = [entry for entry in EXERCISES.values() if isinstance(entry, FunctionExercise)]
MISTAKES = [(entry, wrong) for entry in FUNCTIONS for wrong in entry.misconceptions]


@pytest.fixture(autouse=True)
def own_progress(monkeypatch, tmp_path):
    monkeypatch.setenv("ADVREC_STATE", str(tmp_path))


def names(exercise):
    return list(exercise._cases()[0])


def played(exercise, answer, advrec):
    """Return ``answer``, written in NumPy, as a learner would have written it in the track's own tensors."""
    in_numpy = exercise.identifier in ("01.1", "01.5")

    def learner(*values):
        given = dict(zip(names(exercise), values, strict=True))
        arrays = {name: np.array(advrec.numpy(value)) for name, value in given.items()}
        inputs = {
            name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()
        }
        inputs = {name: int(value) if name == "k" else value for name, value in inputs.items()}
        result = answer(**inputs)
        return result if in_numpy else advrec.tensor(np.asarray(result))

    return learner


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=lambda entry: entry.identifier)
class TestFunctions:
    def test_the_course_s_own_function_is_right(self, exercise, advrec):
        verdict = exercise.judge(exercise.course(advrec))
        assert verdict.status == CORRECT, verdict.message

    def test_the_reference_is_right_when_a_learner_writes_it(self, exercise, advrec):
        verdict = exercise.judge(played(exercise, exercise.reference, advrec))
        if exercise.differentiate:
            assert verdict.status == NOT_YET and "no gradient reaches p" in verdict.message
        elif exercise.traced and tracks.current() == "tensorflow":
            assert verdict.status == NOT_YET and "inside tf.function" in verdict.message
        else:
            assert verdict.status == CORRECT, verdict.message

    def test_the_stub_is_not_attempted(self, exercise, advrec):
        namespace = {}
        exec(f"def stub({', '.join(names(exercise))}):\n    'What to do.'\n    ...", namespace)
        assert exercise.judge(namespace["stub"]).status == NOT_ATTEMPTED

    def test_every_mistake_has_a_message_of_its_own(self, exercise, advrec):
        messages = [wrong.message for wrong in exercise.misconceptions]
        assert len(set(messages)) == len(messages) >= 3


@pytest.mark.parametrize(
    ("exercise", "wrong"), MISTAKES, ids=[f"{entry.identifier}: {wrong.name}" for entry, wrong in MISTAKES]
)
def test_a_mistake_is_refused_by_its_name(exercise, wrong, advrec):
    verdict = exercise.judge(played(exercise, wrong.answer, advrec))
    assert verdict.status == (NOT_ATTEMPTED if wrong.as_given else NOT_YET)
    assert wrong.message in verdict.message


def test_a_changed_input_is_seen(advrec):
    """01.1 hands out a NumPy array: sorting it in place leaves the value right and spoils the caller's ranks."""

    def sorts(ranks, k):
        ranks.sort()
        return metrics.ndcg_single(ranks, k)

    verdict = EXERCISES["01.1"].judge(sorts)
    assert verdict.status == NOT_YET
    assert "changed the input ranks in place; work on a new array or tensor" in verdict.message


def test_the_solutions_of_the_lesson_are_written_in_the_track_s_own_way(advrec, track):
    """The loss written with the framework's log of a sigmoid overflows in float32 too, not only in NumPy."""
    if track == "pytorch":
        import torch

        def naive(p, q, users, liked, other):
            margin = (p[users] * (q[liked] - q[other])).sum(dim=1)
            return -torch.log(torch.sigmoid(margin)).mean()
    else:
        import tensorflow as tf

        def naive(p, q, users, liked, other):
            margin = tf.reduce_sum(tf.gather(p, users) * (tf.gather(q, liked) - tf.gather(q, other)), axis=1)
            return -tf.reduce_mean(tf.math.log(tf.sigmoid(margin)))

    verdict = EXERCISES["01.2"].judge(naive)
    overflow = next(wrong for wrong in EXERCISES["01.2"].misconceptions if wrong.name == "overflow")
    assert verdict.status == NOT_YET
    assert overflow.message in verdict.message


def loss_in(track, *, cut="", small=0.0, limit=None, returns=lambda loss: loss):
    """Return the track's own loss: an input cut off, a small number in the logarithm, or a limited margin."""
    if track == "pytorch":
        import torch

        def loss(p, q, users, liked, other):
            away = q[other].detach() if cut == "other" else q[other]
            mine = p[users].detach() if cut == "users" else p[users]
            margin = (mine * (q[liked] - away)).sum(dim=1)
            if limit:
                margin = margin.clamp(-limit, limit)
            if small:
                return -torch.log(torch.sigmoid(margin) + small).mean()
            return returns(torch.nn.functional.softplus(-margin).mean())
    else:
        import tensorflow as tf

        def loss(p, q, users, liked, other):
            away, mine = tf.gather(q, other), tf.gather(p, users)
            away = tf.stop_gradient(away) if cut == "other" else away
            mine = tf.stop_gradient(mine) if cut == "users" else mine
            margin = tf.reduce_sum(mine * (tf.gather(q, liked) - away), axis=1)
            if limit:
                margin = tf.clip_by_value(margin, -limit, limit)
            if small:
                return -tf.reduce_mean(tf.math.log(tf.sigmoid(margin) + small))
            return returns(tf.reduce_mean(tf.nn.softplus(-margin)))

    return loss


class TestLoss:
    def test_with_its_gradient_it_is_right(self, advrec, track):
        assert EXERCISES["01.2"].judge(loss_in(track)).status == CORRECT

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"cut": "other"}, "the gradient with respect to q"),
            ({"cut": "users"}, "no gradient reaches p"),
            ({"returns": float}, "no gradient reaches p"),
        ],
        ids=["other detached", "users detached", "float"],
    )
    def test_a_loss_that_is_cut_off_from_its_inputs_is_refused(self, settings, message, advrec, track):
        verdict = EXERCISES["01.2"].judge(loss_in(track, **settings))
        assert verdict.status == NOT_YET
        assert message in verdict.message

    @pytest.mark.parametrize("settings", [{"small": 1e-8}, {"small": 1e-10}, {"limit": 30.0}, {"limit": 80.0}], ids=str)
    def test_a_limited_loss_is_named_whatever_the_limit(self, settings, advrec, track):
        verdict = EXERCISES["01.2"].judge(loss_in(track, **settings))
        assert verdict.status == NOT_YET
        assert lesson_01.CUT_OFF in verdict.message


@pytest.mark.tensorflow
def test_a_loop_over_rows_is_refused_where_the_training_loop_is_traced():
    from advrec_teach import tensorflow as advrec

    advrec.setup(device="cpu")

    def with_a_loop(proposals, users, seen):
        table = seen.numpy()
        return advrec.tensor(
            [next(i for i in row if not table[u, i]) for row, u in zip(proposals.numpy(), users.numpy(), strict=True)]
        )

    verdict = EXERCISES["01.3"].judge(with_a_loop)
    assert verdict.status == NOT_YET
    assert "inside tf.function" in verdict.message


class TestPrediction:
    def test_letters(self, advrec):
        prediction = EXERCISES["01.4"]
        assert prediction.judge(None).status == NOT_ATTEMPTED
        assert prediction.judge(...).status == NOT_ATTEMPTED
        assert prediction.judge("b").status == CORRECT
        assert prediction.judge(" B) ").status == CORRECT
        told = [prediction.judge(letter) for letter in ("a", "c", "d")]
        assert {verdict.status for verdict in told} == {NOT_YET}
        assert len({verdict.message for verdict in told}) == 3


def test_the_mended_ndcg_is_the_package_s():
    rng = np.random.default_rng(3)
    table = rng.random((30, 40)) < 0.1
    users, items = np.nonzero(table)
    top = np.array([rng.permutation(40)[:10] for _ in range(30)])
    test = splits.Interactions(users, items, 30, 40)
    assert lesson_01.list_ndcg(top, table, 10) == pytest.approx(metrics.ndcg(top, test, 10), rel=1e-12)


def test_the_found_ndcg_flatters():
    """What makes the bug hunt worth it: the program never gives less than the truth, and mostly more."""
    rng = np.random.default_rng(4)
    table = rng.random((200, 50)) < 0.1
    top = np.array([rng.permutation(50)[:10] for _ in range(200)])
    assert lesson_01._as_found(top, table, 10) > 2 * lesson_01.list_ndcg(top, table, 10)


def test_signatures_match_the_lesson():
    assert list(inspect.signature(lesson_01.list_ndcg).parameters) == names(EXERCISES["01.5"])
