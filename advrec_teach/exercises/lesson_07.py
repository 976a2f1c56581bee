"""Exercises of lesson 07: the two recommenders that are trained as games, and how their figures come about."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import reference_gan, reference_recommenders
from advrec_teach.exercises.choices import ChoiceExercise
from advrec_teach.exercises.functions import FunctionExercise, Made, Misconception

Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]


# --- 07.1: the loss of CFGAN's discriminator


def _judge(rng: np.random.Generator, n: int) -> Made:
    """Return an opponent whose logits are linear in the row, in its condition and in where they agree."""
    weights = [rng.normal(size=(n, 1)).astype(np.float32) for _ in range(3)]

    def logits(rows: Any, condition: Any, w: list[Any]) -> Any:
        return (rows @ w[0] + condition @ w[1] + (rows * condition) @ w[2])[:, 0]

    def build(advrec: ModuleType) -> Callable[[Any, Any], Any]:
        w = [advrec.tensor(weight) for weight in weights]
        return lambda rows, condition: logits(rows, condition, w)

    exact = [weight.astype(np.float64) for weight in weights]
    return Made(build, lambda rows, condition: logits(rows, condition, exact))


def _mask_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return rows with ones, shown zeros and hidden zeros; the last case shows no zero at all."""
    cases = []
    for n_rows, n, share in ((4, 8, 0.5), (1, 6, 0.4), (3, 7, 0.0)):
        rows = (rng.uniform(size=(n_rows, n)) < 0.4).astype(np.float32)
        rows[:, 0], rows[:, 1:3] = 1, 0
        chosen = ((rng.uniform(size=rows.shape) < share) * (1 - rows)).astype(np.float32)
        chosen[:, 1], chosen[:, 2] = float(share > 0), 0
        made = rng.normal(0.4, 0.5, size=rows.shape).astype(np.float32)
        cases.append({"logits_of": _judge(rng, n), "made": made, "rows": rows, "shown": chosen})
    return cases


def _opponent(
    *,
    mask: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda rows, chosen: rows + chosen,
    real: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda rows, chosen: rows,
    condition_is_made: bool = False,
    swapped: bool = False,
    each: Callable[[np.ndarray], np.ndarray] = reference_gan._softplus,
    signs: tuple[int, int] = (-1, 1),
    parts: tuple[float, float] = (1.0, 1.0),
    over: Callable[[np.ndarray], Any] = np.mean,
) -> Callable[..., np.ndarray]:
    """Return the loss with some of its parts done wrong."""

    def answer(logits_of: Judge, made: np.ndarray, rows: np.ndarray, shown: np.ndarray) -> np.ndarray:
        seen = made * mask(rows, shown)
        condition = seen if condition_is_made else rows
        logits = logits_of(rows, seen) if swapped else logits_of(seen, condition)
        on_real = each(signs[0] * logits_of(real(rows, shown), rows))
        on_made = each(signs[1] * logits)
        return np.asarray(parts[0] * over(on_real) + parts[1] * over(on_made))

    return answer


def _course_opponent(advrec: ModuleType) -> Callable[..., Any]:
    def opponent_loss(logits_of: Any, made: Any, rows: Any, shown: Any) -> Any:
        """Return the loss of CFGAN's discriminator, a tensor that holds one number."""
        return advrec.discriminator_loss(logits_of(rows, rows), logits_of(made * (rows + shown), rows))

    return opponent_loss


OPPONENT = (
    Misconception(
        "no mask",
        "your opponent sees the whole made row. Then every small number at a hidden zero gives the generator away: "
        "where does the mask of the formula stand?",
        _opponent(mask=lambda rows, chosen: np.ones_like(rows)),
    ),
    Misconception(
        "no partial masking",
        "your opponent sees the made row at the ones alone. Writing a 1 everywhere would then go unnoticed: which "
        "zeros are shown as well?",
        _opponent(mask=lambda rows, chosen: rows),
    ),
    Misconception(
        "chosen zeros alone",
        "your opponent sees the made row at the chosen zeros, and not at the ones of the real row. The formula adds "
        "two masks.",
        _opponent(mask=lambda rows, chosen: chosen),
    ),
    Misconception(
        "the mask upside down",
        "your mask hides what should be seen and shows what should be hidden: a made entry is multiplied by 1 where "
        "the opponent sees it.",
        _opponent(mask=lambda rows, chosen: 1 - rows - chosen),
    ),
    Misconception(
        "the mask as a row",
        "your opponent gets the mask in place of the real row: chosen zeros would look like ones. A zero that is shown "
        "stays a zero.",
        _opponent(real=lambda rows, chosen: rows + chosen),
    ),
    Misconception(
        "made condition",
        "you judge the made row beside itself. The condition is what a row was made *for*: the real row, both times.",
        _opponent(condition_is_made=True),
    ),
    Misconception(
        "arguments swapped",
        "on made rows you hand over the real row as what is judged, and the made one as its condition. What is judged "
        "comes first.",
        _opponent(swapped=True),
    ),
    Misconception(
        "no softplus",
        "you average the logits themselves. Such a loss has no floor: each logit goes through softplus first.",
        _opponent(each=lambda logits: logits),
    ),
    Misconception(
        "labels swapped",
        "your opponent is rewarded for calling real rows made and made rows real. softplus(-logit) is small where "
        "the logit is large.",
        _opponent(signs=(1, -1)),
    ),
    Misconception(
        "the generator's wish",
        "on made rows your loss is small where they are taken for real. That is what the generator wants; this is the "
        "loss of its opponent.",
        _opponent(signs=(-1, -1)),
    ),
    Misconception(
        "the made rows alone",
        "you leave out the real rows: an opponent that calls everything made would have no loss.",
        _opponent(parts=(0.0, 1.0)),
    ),
    Misconception(
        "the real rows alone",
        "you leave out the made rows: an opponent that calls everything real would have no loss.",
        _opponent(parts=(1.0, 0.0)),
    ),
    Misconception(
        "one mean over both",
        "your loss is half of what it should be: the formula adds the mean over the real rows and the mean over the "
        "made ones.",
        _opponent(parts=(0.5, 0.5)),
    ),
    Misconception(
        "sum for mean",
        "you sum over the rows. With the mean, the loss does not depend on how many rows are in a batch.",
        _opponent(over=np.sum),
    ),
    Misconception(
        "not reduced",
        "you return one number for each row. The loss is their mean.",
        _opponent(over=lambda losses: losses),
    ),
    Misconception(
        "a gain",
        "your sign is that of a gain. A loss is to be small where the opponent is right.",
        _opponent(parts=(-1.0, -1.0)),
    ),
)


# --- 07.3: IRGAN's policy gradient


def _policy_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return scores, draws with repetitions and rewards of both signs; the last scores are far apart."""
    cases = []
    for n_users, n_films, n_draws, scale in ((3, 6, 4, 1.0), (1, 5, 2, 1.0), (2, 5, 3, 60.0)):
        rewards = rng.uniform(0.2, 1, (n_users, n_draws)) * rng.choice([-0.5, 1.0], (n_users, n_draws))
        cases.append(
            {
                "logits": (scale * rng.normal(size=(n_users, n_films))).astype(np.float32),
                "items": rng.integers(n_films, size=(n_users, n_draws)),
                "rewards": rewards.astype(np.float32),
            }
        )
    return cases


def _log_softmax(z: np.ndarray, axis: int | None = 1) -> np.ndarray:
    top = z.max(axis=axis, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(axis=axis, keepdims=True))


def _policy(
    *,
    log_p: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda z, items: np.take_along_axis(
        _log_softmax(z), items, 1
    ),
    worth: Callable[[np.ndarray], np.ndarray] = lambda rewards: rewards,
    sign: float = -1.0,
    over: Callable[[np.ndarray], Any] = np.mean,
) -> Callable[..., np.ndarray]:
    """Return the loss with some of its parts done wrong."""
    return lambda logits, items, rewards: np.asarray(sign * over(worth(rewards) * log_p(logits, items)))


def _course_policy(advrec: ModuleType) -> Callable[..., Any]:
    def policy_loss(logits: Any, items: Any, rewards: Any) -> Any:
        """Return IRGAN's loss for its generator, a tensor that holds one number."""
        return advrec.policy_loss(logits, items, rewards)

    return policy_loss


POLICY = (
    Misconception(
        "no logarithm",
        "you weight the probability itself. Its slope is the probability times that of the logarithm: likely films, "
        "which are drawn often already, would be paid twice.",
        _policy(log_p=lambda z, items: np.exp(np.take_along_axis(_log_softmax(z), items, 1))),
    ),
    Misconception(
        "scores for logarithms",
        "you weight the scores of the drawn films. A probability compares a score with those of all other films: the "
        "logarithm of the sum of exponentials is missing.",
        _policy(log_p=lambda z, items: np.take_along_axis(z, items, 1)),
    ),
    Misconception(
        "log-sigmoid",
        "you take the logarithm of a sigmoid of each score. A sigmoid looks at one film by itself; what is drawn is "
        "one film out of all, so that the probabilities come from a softmax.",
        _policy(log_p=lambda z, items: -reference_gan._softplus(-np.take_along_axis(z, items, 1))),
    ),
    Misconception(
        "the drawn films alone",
        "your probabilities sum to 1 over the films that were drawn. They sum to 1 over *all* films: take the softmax "
        "first, and the drawn films out of it.",
        _policy(log_p=lambda z, items: _log_softmax(np.take_along_axis(z, items, 1))),
    ),
    Misconception(
        "over the users",
        "your probabilities of a film sum to 1 over the users. It is a user who draws: sum over the films.",
        _policy(log_p=lambda z, items: np.take_along_axis(_log_softmax(z, 0), items, 1)),
    ),
    Misconception(
        "one softmax for all users",
        "your probabilities sum to 1 over the whole table. Each user has a distribution of their own.",
        _policy(log_p=lambda z, items: np.take_along_axis(_log_softmax(z, None), items, 1)),
    ),
    Misconception(
        "the wrong sign",
        "a step down your loss makes less likely what was paid for. The formula begins with a minus.",
        _policy(sign=1.0),
    ),
    Misconception(
        "no rewards",
        "you make every drawn film more likely, whatever it is worth: nothing of the opponent's judgement is left.",
        _policy(worth=np.ones_like),
    ),
    Misconception(
        "a baseline",
        "you take the mean reward off each reward. That is a sound way to make the gradient less noisy (lesson 04); "
        "the formula here, and IRGAN's program, have none.",
        _policy(worth=lambda rewards: rewards - rewards.mean()),
    ),
    Misconception(
        "a baseline for each user",
        "you take each user's mean reward off their rewards. That is a sound way to make the gradient less noisy "
        "(lesson 04); the formula here, and IRGAN's program, have none.",
        _policy(worth=lambda rewards: rewards - rewards.mean(axis=1, keepdims=True)),
    ),
    Misconception(
        "sum for mean",
        "you sum over users and draws. With the mean, the step does not grow with the number of draws.",
        _policy(over=np.sum),
    ),
    Misconception(
        "the mean of the sums",
        "you sum over a user's draws and average over the users. The formula has one mean over both.",
        _policy(over=lambda losses: losses.sum(axis=1).mean()),
    ),
    Misconception(
        "not reduced",
        "you return a number for each draw. The loss is their mean.",
        _policy(over=lambda losses: losses),
    ),
)


# --- 07.4: the best model, chosen by test films

Table = np.ndarray


def _report_cases(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return runs and rounds in which every way to report gives another number."""
    cases: list[dict[str, Any]] = []
    for shape in ((3, 5), (4, 4), (3, 7)):
        told: list[float] = [0, 0]
        while len(set(told)) < len(told):
            validation, test = 0.2 + 0.2 * rng.uniform(size=(2, *shape))
            told = [float(_signed(validation, test)), *(float(m.answer(validation, test)) for m in REPORT)]
        cases.append({"validation": _array(validation), "test": _array(test)})
    return cases


def _array(values: Table) -> Made:
    """Return an array that reaches the learner as it is: what is reported is no tensor."""
    return Made(lambda advrec: values.copy(), values, watch=lambda made: [made])


def _signed(validation: Table, test: Table) -> np.ndarray:
    return np.asarray(test[np.unravel_index(np.argmax(validation), validation.shape)])


def _course_report(advrec: ModuleType) -> Callable[..., Any]:
    def report(validation: Table, test: Table) -> float:
        """Return the precision on test of the model that is best on validation films."""
        return float(_signed(validation, test))

    return report


REPORT = (
    Misconception(
        "as given",
        "you report the highest value in the test table: the test films chose the model, and then praise it. Which of "
        "the two tables may choose?",
        lambda validation, test: np.asarray(test.max()),
    ),
    Misconception(
        "the value that chose",
        "you report the highest precision on validation films. They chose the model, so their figure is flattered in "
        "the same way; what may be signed comes from films that took no part.",
        lambda validation, test: np.asarray(validation.max()),
    ),
    Misconception(
        "the round of each run, averaged",
        "you choose a round for each run by validation films, and average over the runs. That is honest, and answers "
        "another question: how a run does on average. Here *one* model out of all runs and rounds is published.",
        lambda validation, test: np.asarray(test[np.arange(len(test)), validation.argmax(axis=1)].mean()),
    ),
    Misconception(
        "the best run by validation, the best round by test",
        "validation films choose the run, and then test films choose the round. Half a leak is a leak.",
        lambda validation, test: np.asarray(test[validation.max(axis=1).argmax()].max()),
    ),
    Misconception(
        "the best of the runs' choices",
        "each run's round is chosen by validation films, and then you take the run that is best on test films. Half a "
        "leak is a leak.",
        lambda validation, test: np.asarray(test[np.arange(len(test)), validation.argmax(axis=1)].max()),
    ),
    Misconception(
        "the last round",
        "you take the last round of the run that validation films prefer. They say which round, too.",
        lambda validation, test: np.asarray(test[validation.max(axis=1).argmax(), -1]),
    ),
    Misconception(
        "the last round of the best last",
        "you look at the last rounds only. The task is one model out of all runs and *all rounds*.",
        lambda validation, test: np.asarray(test[validation[:, -1].argmax(), -1]),
    ),
    Misconception(
        "the mean of all",
        "you report the mean over all runs and rounds: nobody chose, and nobody would use that model.",
        lambda validation, test: np.asarray(test.mean()),
    ),
    Misconception(
        "the mean of the best by test",
        "you average the best test value of each run: in every run the test films chose.",
        lambda validation, test: np.asarray(test.max(axis=1).mean()),
    ),
    Misconception(
        "lowest for highest",
        "you take the model with the *lowest* precision on validation films: more is better.",
        lambda validation, test: np.asarray(test[np.unravel_index(np.argmin(validation), validation.shape)]),
    ),
    Misconception(
        "tables exchanged",
        "test films choose, and you report the validation figure of their choice. The two tables are the wrong way "
        "round.",
        lambda validation, test: _signed(test, validation),
    ),
    Misconception(
        "both together",
        "you choose by the sum of both tables. Test films take part in that choice as well.",
        lambda validation, test: np.asarray(test[np.unravel_index(np.argmax(validation + test), test.shape)]),
    ),
)


EXERCISES = [
    FunctionExercise(
        "07.1",
        "the opponent sees real rows whole, and made rows at the ones and at the zeros that are shown",
        hints=(
            "Two means are added. In which of them does the mask occur, and what is the condition in each?",
            "rows + shown is 1 where the opponent may look. A made entry elsewhere is multiplied by 0.",
            "Call logits_of twice, with the same condition: once for the rows, once for the made rows times that "
            "mask. The first logits get a minus, both go through softplus, both are averaged over the rows, and the "
            "means are added.",
        ),
        tensor=True,
        cases=_mask_cases,
        used="The next cell uses your function; the training further down has the same loss built in.",
        reference=_opponent(),
        course=_course_opponent,
        misconceptions=OPPONENT,
    ),
    ChoiceExercise(
        "07.2",
        "CFGAN without an opponent",
        hints=(
            "The generator maps a film's row to a row, through a layer that is much narrower. Does it need an opponent "
            "to learn which films go together?",
            "What can an opponent that sees the ones alone complain about? Could you write it down as a formula?",
            "Pulling ones to 1 and zeros to 0 is the loss of an autoencoder, and EASE does much the same. How far "
            "above popularity does the first table have EASE?",
        ),
        answer="c",
        explanation="the generator with a sum of squares is an autoencoder, and with its own two weights a good one. "
        "With the weights of the games it is worse than the game: both rows are in the table.",
        wrong={
            "a": "what brings films together is the narrow layer between two rows, not the opponent. Any loss that "
            "asks for the ones makes use of it.",
            "b": "that is near what the weights of the games give; with its own weights it does not. 'Plausible' "
            "would need an opponent that sees whole rows. Behind a full mask it sees the ones alone: "
            "what more than 'this should look like a 1' can it say?",
        },
    ),
    FunctionExercise(
        "07.3",
        "the logarithm of a drawn film's probability, weighted by what it is worth",
        hints=(
            "Three steps: a logarithm of a softmax over all films, the entries of the drawn films, a weighted mean.",
            "log softmax along the films has the shape [n_users, n_films]; items says which columns to take.",
            "PyTorch: log_softmax has a dim, and gather(1, ...) takes columns. TensorFlow: tf.gather has batch_dims. "
            "Then weight with the rewards, average over users and draws, and mind the minus.",
        ),
        cases=_policy_cases,
        used="The next cell uses your function; the training further down has the same loss built in.",
        reference=reference_recommenders.policy_loss,
        course=_course_policy,
        differentiate=("logits",),
        misconceptions=POLICY,
    ),
    FunctionExercise(
        "07.4",
        "validation films choose one model, test films judge it",
        hints=(
            "Follow `best` through the loop. Which films decide what ends up in it?",
            "Find the place of the highest value in `validation`, over all runs and rounds at once.",
            "np.argmax counts through all entries of a table; np.unravel_index turns that count into run and round. "
            "Report the entry of the *other* table at that place.",
        ),
        cases=_report_cases,
        reference=_signed,
        course=_course_report,
        misconceptions=REPORT,
        used="From here on the notebook reports with your function.",
    ),
    ChoiceExercise(
        "07.5",
        "what moves precision@5",
        hints=(
            "Take one list of five films. When does it hold more hits: for a user with few test films, or with many?",
            "The difference is about one half of the figure. How much did rounds and choices move the figures above?",
            "A random list hits in proportion to the number of test films. What if users with few are left out?",
        ),
        answer="b",
        explanation="the more films a user has in the test set, the more of five hit, whoever recommends.",
        wrong={
            "a": "you have seen what the rounds gain: a small part of the figure. Here about half as much again is "
            "missing.",
            "c": "noise makes learning slower or worse. How would it lift a figure by half?",
            "d": "you have measured what that is worth here, in the table of the two choices. Something much larger "
            "is asked for.",
        },
    ),
]
