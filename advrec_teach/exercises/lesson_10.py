"""Exercises of lesson 10: a step against its own worst case, and programs that only look like one."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception
from advrec_teach.exercises.losses import quadratic

Gradient = Callable[[np.ndarray], np.ndarray]

# --- 10.1: one step


def _step_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Tables with a row that the loss does not depend on; lambda below and above 1."""
    cases = []
    for shape, eps, adv_weight, rate in (((4, 3), 0.4, 0.5, 0.3), ((6, 5), 1.6, 2.0, 0.1)):
        loss_fn = quadratic(rng, shape, flat_rows=1)
        settings = {"eps": eps, "adv_weight": adv_weight, "rate": rate}
        cases.append({"loss_fn": loss_fn, "x": 2 * rng.normal(size=shape), **settings})
    return cases


def _fgm(loss_fn: Gradient, x: np.ndarray, eps: float) -> np.ndarray:
    return reference.fgm_delta(loss_fn(x), eps=eps)


def _moved(
    loss_fn: Gradient, x: np.ndarray, rate: float, *, clean: float = 1.0, attacked: float = 0.0, delta: Any = 0
) -> np.ndarray:
    """Return x after a step along a mixture of the slope at x and the slope at x + delta."""
    return x - rate * (clean * loss_fn(x) + attacked * loss_fn(x + delta))


def _apr_step(loss_fn: Gradient, x: np.ndarray, eps: float, adv_weight: float, rate: float) -> np.ndarray:
    return _moved(loss_fn, x, rate, attacked=adv_weight, delta=_fgm(loss_fn, x, eps))


def _with(delta: Callable[[Gradient, np.ndarray, float], np.ndarray]) -> Callable[..., np.ndarray]:
    """Return the answer that is right but for the way in which it makes the perturbation."""
    return lambda loss_fn, x, eps, adv_weight, rate: _moved(
        loss_fn, x, rate, attacked=adv_weight, delta=delta(loss_fn, x, eps)
    )


def _whole_table(loss_fn: Gradient, x: np.ndarray, eps: float) -> np.ndarray:
    return eps * loss_fn(x) / np.linalg.norm(loss_fn(x))


def _columns(loss_fn: Gradient, x: np.ndarray, eps: float) -> np.ndarray:
    return eps * loss_fn(x) / np.linalg.norm(loss_fn(x), axis=0, keepdims=True)


def _through(loss_fn: Gradient, x: np.ndarray, eps: float, adv_weight: float, rate: float) -> np.ndarray:
    """Differentiate the perturbation too; the loss is quadratic, so its curvature is the difference of two slopes."""
    slope, bend = loss_fn(x), loss_fn(np.ones_like(x)) - loss_fn(np.zeros_like(x))
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    length = np.where(length > 0, length, 1)
    unit = slope / length
    attacked = loss_fn(x + eps * unit)
    across = attacked - unit * np.sum(unit * attacked, axis=1, keepdims=True)
    return x - rate * (slope + adv_weight * (attacked + bend * eps * across / length))


def _two_updates(loss_fn: Gradient, x: np.ndarray, eps: float, adv_weight: float, rate: float) -> np.ndarray:
    x = _moved(loss_fn, x, rate)
    return _moved(loss_fn, x, rate, clean=0, attacked=adv_weight, delta=_fgm(loss_fn, x, eps))


def _with_the_value(loss_fn: Gradient, x: np.ndarray, eps: float, adv_weight: float, rate: float) -> np.ndarray:
    """Step along the loss itself; of a quadratic its value is the mean of two slopes along the way from zero."""

    def value(y: np.ndarray) -> float:
        return float(np.sum(y * (loss_fn(np.zeros_like(y)) + loss_fn(y))) / 2)

    return x - rate * (value(x) + adv_weight * value(x + _fgm(loss_fn, x, eps)))


def _course_step(advrec: ModuleType) -> Callable[..., Any]:
    def apr_step(loss_fn: Any, x: Any, *, eps: float, adv_weight: float, rate: float) -> Any:
        """Return x after one step of descent on L(x) + adv_weight L(x + delta), delta held fixed."""
        _, clean = advrec.value_and_grad(loss_fn, x)
        _, attacked = advrec.value_and_grad(loss_fn, x + advrec.fgm_delta(loss_fn, x, eps=eps))
        return x - rate * (clean + adv_weight * attacked)

    return apr_step


STEP = (
    Misconception(
        "no adversarial term",
        "your step follows the slope at x alone. That is ordinary training: no perturbed vector enters it. (You are in "
        "company: listings named adversarial training do that.)",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(loss_fn, x, rate),
    ),
    Misconception(
        "the slope at x twice",
        "both of your slopes are taken at x. The second term asks for the slope of the loss somewhere else: where?",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(loss_fn, x, rate, clean=1 + adv_weight),
    ),
    Misconception(
        "adversarial term only",
        "your step follows the slope at the attacked vectors alone. The objective is a sum, and its first term is the "
        "loss at the clean vectors.",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(
            loss_fn, x, rate, clean=0, attacked=adv_weight, delta=_fgm(loss_fn, x, eps)
        ),
    ),
    Misconception(
        "lambda forgotten",
        "both slopes count the same in your step: adv_weight does not weigh the second one.",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(loss_fn, x, rate, attacked=1, delta=_fgm(loss_fn, x, eps)),
    ),
    Misconception(
        "a mixture",
        "your weights are 1 - adv_weight and adv_weight, which makes the objective a mixture of the two losses. Here "
        "the clean loss counts in full, whatever lambda is.",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(
            loss_fn, x, rate, clean=1 - adv_weight, attacked=adv_weight, delta=_fgm(loss_fn, x, eps)
        ),
    ),
    Misconception(
        "one minus lambda",
        "the slope at the attacked vectors has the weight 1 - adv_weight in your step: caring more would count less.",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(
            loss_fn, x, rate, attacked=1 - adv_weight, delta=_fgm(loss_fn, x, eps)
        ),
    ),
    Misconception(
        "both slopes at the attacked vectors",
        "both of your slopes are taken at the attacked vectors. The first term asks for the slope at x itself.",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(
            loss_fn, x, rate, clean=0, attacked=1 + adv_weight, delta=_fgm(loss_fn, x, eps)
        ),
    ),
    Misconception(
        "the perturbation as a slope",
        "you add the perturbation itself to the slope. It only says *where* the second slope is to be measured.",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(loss_fn, x, rate) - rate * adv_weight * _fgm(loss_fn, x, eps),
    ),
    Misconception(
        "the value for the slope",
        "every entry moves by the same amount: that is the loss itself, the first of the two things that "
        "value_and_grad returns. A step needs the second.",
        _with_the_value,
    ),
    Misconception(
        "lambda on the wrong term",
        "adv_weight weighs the slope at the clean vectors in your step. Which of the two losses does lambda belong to?",
        lambda loss_fn, x, eps, adv_weight, rate: _moved(
            loss_fn, x, rate, clean=adv_weight, attacked=1, delta=_fgm(loss_fn, x, eps)
        ),
    ),
    Misconception(
        "not restored",
        "the step is right, and it is taken from the attacked vectors. What is trained are the clean ones: the "
        "perturbation is only a place at which a slope is measured.",
        lambda loss_fn, x, eps, adv_weight, rate: _apr_step(loss_fn, x, eps, adv_weight, rate) + _fgm(loss_fn, x, eps),
    ),
    Misconception(
        "the model attacks",
        "both losses rise in your step: it goes along the slopes. The attacker inside climbs, the model that is "
        "trained descends.",
        lambda loss_fn, x, eps, adv_weight, rate: _apr_step(loss_fn, x, eps, adv_weight, -rate),
    ),
    Misconception(
        "a friendly perturbation",
        "your perturbation lowers the loss: it goes against the gradient. Training on that is training on an easier "
        "task than the real one.",
        _with(lambda loss_fn, x, eps: -_fgm(loss_fn, x, eps)),
    ),
    Misconception(
        "sign instead of length",
        "your perturbation is FGSM's: every coordinate moves by eps. Here every row moves by length eps.",
        _with(lambda loss_fn, x, eps: reference.fgsm_delta(loss_fn(x), eps=eps)),
    ),
    Misconception(
        "raw gradient",
        "your perturbation is eps times the gradient. Its length then depends on the slope, and a trained model's "
        "slopes are tiny: hardly anything would move.",
        _with(lambda loss_fn, x, eps: eps * loss_fn(x)),
    ),
    Misconception(
        "one norm for the whole table",
        "your perturbation has length eps as a whole, so that a single row hardly moves. Each row has its own eps "
        "(lesson 08, trap 2).",
        _with(_whole_table),
    ),
    Misconception(
        "norm over columns",
        "your perturbation is divided by the length of the columns. An example is a row: which axis runs along it?",
        _with(_columns),
    ),
    Misconception(
        "through the inner step",
        "you differentiate the perturbation as well, as if the model could move it. Here it is held fixed: find its "
        "values first, then take the slope of the loss at x plus these values.",
        _through,
    ),
    Misconception(
        "two updates",
        "you take two steps, one after the other, and the attack of the second looks at vectors that have already "
        "moved. Both slopes belong to the same x.",
        _two_updates,
    ),
    Misconception(
        "the slope alone",
        "you return the slope of the objective. The function returns the vectors after the step.",
        lambda loss_fn, x, eps, adv_weight, rate: x - _apr_step(loss_fn, x, eps, adv_weight, 1.0),
    ),
    Misconception(
        "rate forgotten",
        "the direction is right, and its length is not: rate is missing.",
        lambda loss_fn, x, eps, adv_weight, rate: _apr_step(loss_fn, x, eps, adv_weight, 1.0),
    ),
)

# --- 10.2: a pass over the batches


def _builder(batches: list[Made]) -> Callable[[ModuleType], Any]:
    """Return the function that makes the list of losses in a track."""
    return lambda advrec: [batch.build(advrec) for batch in batches]


def _pass_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Batches of three losses; in the last case nothing is learnt, so that nothing may move."""
    cases = []
    for shape, eps, adv_weight, rate in (((4, 3), 0.4, 0.5, 0.3), ((5, 4), 0.7, 2.0, 0.1), ((3, 3), 0.5, 1.0, 0.0)):
        batches = [quadratic(rng, shape, flat_rows=1) for _ in range(3)]
        losses = Made(_builder(batches), [batch.truth for batch in batches])
        settings = {"eps": eps, "adv_weight": adv_weight, "rate": rate}
        cases.append({"losses": losses, "x": 2 * rng.normal(size=shape), **settings})
    return cases


def _pass(step: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Return the function that takes one step for every batch."""

    def every_batch(losses: list[Gradient], x: np.ndarray, **settings: float) -> np.ndarray:
        for loss_fn in losses:
            x = step(loss_fn, x, **settings)
        return x

    return every_batch


def _not_restored(loss_fn: Gradient, x: np.ndarray, eps: float, adv_weight: float, rate: float) -> np.ndarray:
    return _apr_step(loss_fn, x, eps, adv_weight, rate) + _fgm(loss_fn, x, eps)


def _restored_by_another(loss_fn: Gradient, x: np.ndarray, eps: float, adv_weight: float, rate: float) -> np.ndarray:
    """Take the perturbation away again, but compute it anew at the attacked vectors."""
    attacked = x + _fgm(loss_fn, x, eps)
    return _not_restored(loss_fn, x, eps, adv_weight, rate) - _fgm(loss_fn, attacked, eps)


def _first_perturbation(
    losses: list[Gradient], x: np.ndarray, eps: float, adv_weight: float, rate: float
) -> np.ndarray:
    delta = _fgm(losses[0], x, eps)
    for loss_fn in losses:
        x = _moved(loss_fn, x, rate, attacked=adv_weight, delta=delta)
    return x


def _restored_at_the_end(
    losses: list[Gradient], x: np.ndarray, eps: float, adv_weight: float, rate: float
) -> np.ndarray:
    total = np.zeros_like(x)
    for loss_fn in losses:
        total += _fgm(loss_fn, x, eps)
        x = _not_restored(loss_fn, x, eps, adv_weight, rate)
    return x - total


def _back_to_the_start(losses: list[Gradient], x: np.ndarray, **settings: float) -> np.ndarray:
    return _apr_step(losses[-1], x, **settings)


def _stepping_from_the_first(
    losses: list[Gradient], x: np.ndarray, eps: float, adv_weight: float, rate: float
) -> np.ndarray:
    """Back up once, before the loop: slopes are taken where training stands, every step starts at the first x."""
    backup = x
    for loss_fn in losses:
        x = backup + _apr_step(loss_fn, x, eps, adv_weight, rate) - x
    return x


def _one_step_for_all(losses: list[Gradient], x: np.ndarray, **settings: float) -> np.ndarray:
    return x + sum(_apr_step(loss_fn, x, **settings) - x for loss_fn in losses)


def _first_batch(losses: list[Gradient], x: np.ndarray, **settings: float) -> np.ndarray:
    return _apr_step(losses[0], x, **settings)


def _course_pass(advrec: ModuleType) -> Callable[..., Any]:
    step = _course_step(advrec)

    def train_pass(losses: Any, x: Any, *, eps: float, adv_weight: float, rate: float) -> Any:
        """Return x after one step of adversarial training for each of the losses."""
        for loss_fn in losses:
            x = step(loss_fn, x, eps=eps, adv_weight=adv_weight, rate=rate)
        return x

    return train_pass


# --- 10.4: scores that can be attacked


def _score_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for adversarial in (True, False):
        p, q = rng.normal(size=(5, 4)), rng.normal(size=(7, 4))
        ids = {"users": rng.integers(5, size=6), "items": rng.integers(7, size=6)}
        deltas = {"delta_p": rng.normal(size=p.shape), "delta_q": rng.normal(size=q.shape)}
        cases.append({"p": p, "q": q, **ids, **deltas, "adversarial": adversarial})
    return cases


def _scores(
    moves_users: Callable[[bool], bool], moves_items: Callable[[bool], bool], reduce: Callable[[np.ndarray], Any]
) -> Callable[..., Any]:
    """Return the score function that perturbs the tables when asked, and reduces the products in a given way."""

    def answer(
        p: np.ndarray,
        q: np.ndarray,
        users: np.ndarray,
        items: np.ndarray,
        delta_p: np.ndarray,
        delta_q: np.ndarray,
        adversarial: bool,
    ) -> Any:
        p = p + delta_p if moves_users(adversarial) else p
        q = q + delta_q if moves_items(adversarial) else q
        return reduce(p[users] * q[items])

    return answer


def _asked(adversarial: bool) -> bool:
    return adversarial


def _reversed(adversarial: bool) -> bool:
    return not adversarial


def _always(adversarial: bool) -> bool:
    return True


def _never(adversarial: bool) -> bool:
    return False


def _sum(products: np.ndarray) -> np.ndarray:
    return products.sum(axis=1)


_right_scores = _scores(_asked, _asked, _sum)


def _every_pair(**inputs: Any) -> np.ndarray:
    """Return the scores of every user with every item of the pairs, shape [n, n]."""
    tables = {name: inputs[name] + inputs["adversarial"] * inputs[f"delta_{name}"] for name in "pq"}
    return tables["p"][inputs["users"]] @ tables["q"][inputs["items"]].T


def _course_scores(advrec: ModuleType) -> Callable[..., Any]:
    def pair_scores(
        p: Any, q: Any, users: Any, items: Any, delta_p: Any, delta_q: Any, *, adversarial: bool = False
    ) -> Any:
        """Return the scores of the pairs, shape [n], of the perturbed vectors where asked for."""
        if adversarial:
            p, q = p + delta_p, q + delta_q
        if advrec.__name__.endswith("pytorch"):
            return (p[users] * q[items]).sum(dim=1)
        import tensorflow as tf

        return tf.reduce_sum(tf.gather(p, users) * tf.gather(q, items), axis=1)

    return pair_scores


EXERCISES = [
    FunctionExercise(
        "10.1",
        "two slopes, one at the vectors and one at the attacked vectors, and a step from where you were",
        hints=(
            "You need two gradients of the same loss at two places, and lambda weighs one of them.",
            "The second place is x plus advrec.fgm_delta(loss_fn, x, eps=eps). Compute it before you differentiate, "
            "and it is held fixed.",
            "clean is the gradient at x, attacked the gradient at x + delta; return x minus rate times "
            "(clean + adv_weight times attacked).",
        ),
        cases=_step_cases,
        keywords=("eps", "adv_weight", "rate"),
        reference=_apr_step,
        course=_course_step,
        misconceptions=STEP,
    ),
    FunctionExercise(
        "10.2",
        "every step starts where the step before it ended, not where its attack ended",
        hints=(
            "A rate of 0 learns nothing, so the vectors must come back as they were. Call copied_pass that way and "
            "look at the difference.",
            "Follow x through one round of the loop: to which x does the last line apply the step?",
            "Give the attacked vectors a name of their own, take the second gradient there, and step from x.",
        ),
        cases=_pass_cases,
        keywords=("eps", "adv_weight", "rate"),
        reference=_pass(_apr_step),
        course=_course_pass,
        misconceptions=(
            Misconception(
                "as given",
                "the vectors still keep the perturbation: with a rate of 0 they should come back as they were, and "
                "they have moved by eps for every batch. (A copy? `backup = x` is only a second name for the "
                "same tensor, and `x += ...` changes what both names mean in PyTorch.)",
                _pass(_not_restored),
            ),
            Misconception(
                "another perturbation taken away",
                "you take a perturbation away, but not the one that you had added: computed anew at the attacked "
                "vectors, it is another one. What did x look like before?",
                _pass(_restored_by_another),
            ),
            Misconception(
                "restored after the pass",
                "you take all perturbations away at the end. By then every batch but the first was trained at vectors "
                "that still had those of the batches before it.",
                _restored_at_the_end,
            ),
            Misconception(
                "one perturbation for all",
                "all batches share the perturbation of the first. The attacker looks at the present vectors and the "
                "present batch, each time.",
                _first_perturbation,
            ),
            Misconception(
                "back to the start",
                "every step starts at the x that the function was given, so only the last batch counts. Restore the "
                "vectors of this step, not those of the first.",
                _back_to_the_start,
            ),
            Misconception(
                "backed up once",
                "your slopes follow the training, and every step starts at the x from before the loop: what batches "
                "before had learnt is gone. Back up in each round.",
                _stepping_from_the_first,
            ),
            Misconception(
                "one step for all batches",
                "you add up the slopes of all batches and take one step. Each batch has a step of its own, from where "
                "the one before it ended.",
                _one_step_for_all,
            ),
            Misconception(
                "the first batch only",
                "only the first batch counts: does your `return` stand inside the loop?",
                _first_batch,
            ),
            Misconception(
                "both slopes at the attacked vectors",
                "x is restored, but both of your slopes are taken at the attacked vectors. The clean one belongs to x.",
                _pass(
                    lambda loss_fn, x, eps, adv_weight, rate: _moved(
                        loss_fn, x, rate, clean=0, attacked=1 + adv_weight, delta=_fgm(loss_fn, x, eps)
                    )
                ),
            ),
            Misconception(
                "adversarial term only",
                "x is restored, but only the slope at the attacked vectors is left: the clean loss has lost its term.",
                _pass(
                    lambda loss_fn, x, eps, adv_weight, rate: _moved(
                        loss_fn, x, rate, clean=0, attacked=adv_weight, delta=_fgm(loss_fn, x, eps)
                    )
                ),
            ),
            Misconception(
                "no perturbation left",
                "nothing drifts any more, because nothing is attacked: both slopes are taken at x.",
                _pass(
                    lambda loss_fn, x, eps, adv_weight, rate: _moved(loss_fn, x, rate, clean=1 + adv_weight),
                ),
            ),
            Misconception(
                "only the clean slope",
                "nothing drifts any more, and the adversarial term is gone: that is ordinary training.",
                _pass(lambda loss_fn, x, eps, adv_weight, rate: _moved(loss_fn, x, rate)),
            ),
            Misconception(
                "two updates",
                "each batch now takes two steps, and the attack of the second looks at vectors that have already "
                "moved. Both slopes belong to the same x.",
                _pass(_two_updates),
            ),
        ),
    ),
    ChoiceExercise(
        "10.3",
        "noise as a defence",
        hints=(
            "The question is about moves of a fixed length. What, other than robustness, makes a fixed length "
            "harmless?",
            "Lesson 08, trap 1: what happens to the harm of a move when all vectors are twice as long?",
            "Look at the objectives. What keeps vectors short in training, and which of the three models has more loss "
            "standing against it?",
        ),
        answer="b",
        explanation="noise keeps clearly more than ordinary training. Before you call that a defence, ask why; that is "
        "what comes next.",
        wrong={
            "a": "the direction of the noise indeed has nothing to do with the attack. But training with it may change "
            "something else about the vectors: think of lesson 08, trap 1.",
            "c": "then the direction of the perturbation in training would not matter at all. Against noise of the "
            "same length the attack did several times the harm: training against it asks for more.",
        },
    ),
    FunctionExercise(
        "10.4",
        "one score for a pair, and the flag attacks when it says so",
        hints=(
            "Call the program for two pairs: how many numbers should come back? Then call it with both values of the "
            "flag and a perturbation of zero, and of something else.",
            "A dot product is a sum over the d coordinates. And read the condition aloud: if adversarial, then which "
            "vectors?",
            "Add the perturbations to both tables if adversarial is true, pick the rows, multiply and sum over axis 1.",
        ),
        cases=_score_cases,
        keywords=("adversarial",),
        reference=_right_scores,
        course=_course_scores,
        misconceptions=(
            Misconception(
                "as given",
                "both faults are still there: the result has a column for every coordinate instead of one score for a "
                "pair, and the flag does the opposite of what it says.",
                _scores(_reversed, _reversed, lambda products: products),
            ),
            Misconception(
                "the flag is still reversed",
                "there is one score for a pair now. But ask for adversarial scores, and the perturbation has no "
                "effect.",
                _scores(_reversed, _reversed, _sum),
            ),
            Misconception(
                "no sum",
                "the flag is right now. But the result has a column for every coordinate: a score is a dot product.",
                _scores(_asked, _asked, lambda products: products),
            ),
            Misconception(
                "always perturbed",
                "the perturbation counts with both values of the flag: the ordinary loss would be attacked too.",
                _scores(_always, _always, _sum),
            ),
            Misconception(
                "never perturbed",
                "the perturbation counts with neither value of the flag: the adversarial loss is the ordinary one.",
                _scores(_never, _never, _sum),
            ),
            Misconception(
                "users only",
                "only the users' vectors are attacked; the items have a perturbation as well.",
                _scores(_asked, _never, _sum),
            ),
            Misconception(
                "items only",
                "only the items' vectors are attacked; the users have a perturbation as well.",
                _scores(_never, _asked, _sum),
            ),
            Misconception(
                "sum over the pairs",
                "you sum over the pairs, so one number is left for every coordinate. Which axis runs along a vector?",
                _scores(_asked, _asked, lambda products: products.sum(axis=0)),
            ),
            Misconception(
                "a column",
                "every pair has its score, in a table with one column. The shape asked for is [n]: let the summed axis "
                "go.",
                _scores(_asked, _asked, lambda products: products.sum(axis=1, keepdims=True)),
            ),
            Misconception(
                "everybody with everything",
                "the result has a score for every user with every item of the batch: a product of matrices does that. "
                "The pairs are its diagonal, so multiply row by row.",
                _every_pair,
            ),
            Misconception(
                "mean instead of sum",
                "you take the mean over the coordinates. All scores shrink by the factor d, and the loss with them.",
                _scores(_asked, _asked, lambda products: products.mean(axis=1)),
            ),
            Misconception(
                "one number",
                "you sum over everything, so one number is left. Every pair has a score of its own.",
                _scores(_asked, _asked, lambda products: products.sum()),
            ),
        ),
    ),
]
