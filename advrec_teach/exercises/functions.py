"""Exercises whose answer is a function, judged on random cases against NumPy."""

import dis
import inspect
import linecache
import re
import traceback
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from advrec_teach import tracks
from advrec_teach.exercises.core import CORRECT, NOT_ATTEMPTED, NOT_YET, Exercise, Verdict


@dataclass(frozen=True)
class Made:
    """An input that has to be made in the learner's framework, such as a loss or a model.

    Attributes
    ----------
    build
        Called with the track's module (``advrec``); returns the input that the learner's function gets.
    truth
        What the NumPy reference gets in its place.
    watch
        Called with the built input before and after the learner's function; returns
        arrays that must not have changed, such as the values of parameters.
    """

    build: Callable[[ModuleType], Any]
    truth: Any
    watch: Callable[[Any], Sequence[np.ndarray]] | None = None


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that learners are known to give.

    Attributes
    ----------
    name
        Short and in the field's terms, such as ``"sign instead of norm"``.
    message
        What the learner reads: what the answer does, and what to think about; not the answer.
    answer
        The wrong function in NumPy, with the reference's parameters.
    as_given
        True for the program that a bug hunt starts from: it counts as not attempted.
    """

    name: str
    message: str
    answer: Callable[..., Any]
    as_given: bool = False


class FunctionExercise(Exercise):
    """An exercise that asks for a function.

    Parameters
    ----------
    identifier, title, hints
        See :class:`~advrec_teach.exercises.core.Exercise`.
    cases
        Called with a NumPy generator; returns the cases, each a dict of inputs by
        parameter name, in the order of the signature. Arrays become tensors; a
        :class:`Made` is built; everything else is passed as it is.
    keywords
        The names among them that are passed by keyword.
    reference
        The right answer in NumPy float64; gets the same inputs by name.
    course
        Called with the track's module; returns the course's own version of the function.
    misconceptions
        At least three named wrong answers, looked for in this order.
    tolerance
        Largest allowed difference, relative to 1 + the reference's magnitude: float32 against float64.
    differentiate
        Names of the inputs with respect to which the result must have the reference's gradient. The result is
        one number, or several, each of which is differentiated with respect to the inputs that it depends on.
    traced
        In TensorFlow the function must give the same inside ``tf.function``, where the first dimension of
        these inputs is not known. Inputs that are no arrays are passed as they are.
    tensor
        The result must be a tensor of the track: right numbers in a float or a NumPy array are refused. For results
        that need no gradient of their own, where ``differentiate`` would ask too much.
    notice
        Called with the result of a case that no misconception explains, its truth and the reference's inputs;
        returns what is wrong in the learner's terms, or None. It may refuse what has the right value, such as
        numbers in place of truth values.
    used
        What the learner reads on where a right answer is used.
    """

    def __init__(
        self,
        identifier: str,
        title: str,
        *,
        hints: Sequence[str],
        cases: Callable[[np.random.Generator], list[dict[str, Any]]],
        reference: Callable[..., Any],
        course: Callable[[ModuleType], Callable[..., Any]],
        misconceptions: Sequence[Misconception],
        keywords: Sequence[str] = (),
        tolerance: float = 1e-5,
        differentiate: Sequence[str] = (),
        traced: Sequence[str] = (),
        tensor: bool = False,
        notice: Callable[..., str | None] | None = None,
        used: str = "From here on the notebook uses your function.",
    ):
        super().__init__(identifier, title, hints=hints)
        if len(misconceptions) < 3:
            raise ValueError(f"exercise {identifier} needs three named misconceptions, it has {len(misconceptions)}")
        self.cases, self.reference, self.course = cases, reference, course
        self.misconceptions, self.keywords, self.tolerance = tuple(misconceptions), tuple(keywords), tolerance
        self.differentiate, self.traced = tuple(differentiate), tuple(traced)
        self.tensor, self.notice, self.used = tensor, notice, used
        # What the last check gave back in place of the learner's function.
        self._lent: Callable[..., Any] | None = None

    def kept(self, answer: Any, verdict: Verdict) -> Any:
        """Return the learner's function when it is right, else the course's."""
        if verdict.status == CORRECT:
            return answer
        self._lent = self.course(tracks.module())
        return self._lent

    def judge(self, answer: Any) -> Verdict:
        """Try the function on every case; see the class for what counts as right."""
        # A wrong answer may divide by zero in NumPy: the verdict says so, a warning would only distract.
        with np.errstate(all="ignore"):
            return self._judge(answer)

    def _judge(self, answer: Any) -> Verdict:
        if answer is None or answer is Ellipsis:
            return self._not_attempted()
        if answer is self._lent:
            return self._not_attempted("This is the course's own function: run the cell that defines yours first.")
        if not callable(answer):
            return self._wrong(
                f"check() takes the function itself, and this is {_kind(answer)}: leave out the brackets."
            )
        if _is_untouched(answer):
            return self._not_attempted()

        advrec = tracks.module()
        cases = self._cases()
        truths = [_truth(self.reference(**_numpy_inputs(case))) for case in cases]
        results: list[Any] = []
        side_effect: str | None = None
        foreign: str | None = None
        for case, truth in zip(cases, truths, strict=True):
            try:
                built = {name: _build(value, advrec) for name, value in case.items()}
                watched = _snapshot(case, built, advrec)
                result = self._call(answer, built)
                if result is None or result is Ellipsis:
                    return self._wrong("your function returned nothing: is `return` missing?")
                results.append(_to_numpy(result, advrec, several=isinstance(truth, tuple)))
                side_effect = side_effect or _changed(watched, _snapshot(case, built, advrec))
                if self.tensor and not isinstance(result, type(advrec.tensor(0.0))):
                    foreign = _foreign(result)
            except NotImplementedError:
                return self._not_attempted()
            except Exception as error:
                return self._wrong(_explain(error, answer))

        fault = self._first_difference(cases, results, truths)
        if fault:
            return self._named(cases, results) or self._wrong(fault)
        late = (
            side_effect
            or self._gradient_fault(answer, cases, truths, advrec)
            or self._traced_fault(answer, cases, truths)
            or foreign
        )
        if late:
            return self._wrong(late)
        return Verdict(CORRECT, f"{self.title}. {self.used}")

    def _cases(self) -> list[dict[str, Any]]:
        rng = np.random.default_rng(zlib.crc32(self.identifier.encode()))
        return self.cases(rng)

    def _call(self, answer: Callable[..., Any], built: dict[str, Any]) -> Any:
        positional = [value for name, value in built.items() if name not in self.keywords]
        return answer(*positional, **{name: built[name] for name in self.keywords if name in built})

    def _call_with(
        self, answer: Callable[..., Any], built: dict[str, Any], names: tuple[str, ...]
    ) -> Callable[..., Any]:
        """Return the call as a function of the inputs ``names`` alone, by position."""
        return lambda *values: self._call(answer, built | dict(zip(names, values, strict=True)))

    def _gradient_fault(
        self, answer: Callable[..., Any], cases: list[dict], truths: list[Any], advrec: ModuleType
    ) -> str | None:
        """Say where the gradient of a right value differs from the reference's."""
        for case, truth in zip(cases, truths, strict=True) if self.differentiate else ():
            parts = range(len(truth)) if isinstance(truth, tuple) else (None,)
            for part in parts:
                for name in self.differentiate:
                    if fault := self._slope_fault(answer, case, name, part, advrec):
                        return fault
        return None

    def _slope_fault(
        self, answer: Callable[..., Any], case: dict, name: str, part: int | None, advrec: ModuleType
    ) -> str | None:
        """Compare one gradient: of the returned value number ``part``, or of the only one, with respect to ``name``."""

        def chosen(values: Any) -> Any:
            return values if part is None else values[part]

        truth = _numerical_gradient(lambda **inputs: chosen(self.reference(**inputs)), _numpy_inputs(case), name)
        if part is not None and not truth.any():
            return None  # this value does not depend on this input
        whose = "" if part is None else f"of returned value {part + 1} "
        cut = "Something on the way, such as .item(), float(), NumPy, detach or stop_gradient, cuts it off."
        built = {key: _build(value, advrec) for key, value in case.items()}
        try:
            _, found = advrec.value_and_grad(lambda x: chosen(self._call(answer, built | {name: x})), built[name])
        except Exception:  # the value itself could be computed, so it is the recording that failed
            return f"the value is right, but no gradient {whose}reaches {name}. {cut}"
        if fault := _difference(_to_numpy(found, advrec), truth, 10 * self.tolerance):
            wrong = fault.replace("the result", f"the gradient {whose}with respect to {name}")
            return f"the value is right, but its gradient is not: {wrong} {cut}"
        return None

    def _traced_fault(self, answer: Callable[..., Any], cases: list[dict], truths: list[Any]) -> str | None:
        """Say what goes wrong inside ``tf.function``; nothing does where the track has none."""
        if not self.traced or tracks.current() != "tensorflow":
            return None
        import tensorflow as tf

        advrec = tracks.module()
        for case, truth in zip(cases, truths, strict=True):
            built = {name: _build(value, advrec) for name, value in case.items()}
            tensors = {name: value for name, value in built.items() if tf.is_tensor(value)}
            signature = [
                tf.TensorSpec([None, *value.shape[1:]] if name in self.traced else value.shape, value.dtype)
                for name, value in tensors.items()
            ]

            call = self._call_with(answer, built, tuple(tensors))
            try:
                # Traced before it is called: a call that traces would warn, as every case traces its own.
                graph = tf.function(call, input_signature=signature).get_concrete_function()
                result = _to_numpy(graph(*tensors.values()), advrec, several=isinstance(truth, tuple))
                fault = _difference(result, truth, self.tolerance)
            except Exception as error:
                last = [line.strip() for line in str(error).splitlines() if line.strip()][-1:]
                fault = f"it stops with {type(error).__name__}: {''.join(last)[:200].rstrip(' .')}."
            if fault:
                return (
                    f"the values are right, but not inside tf.function, where the training loop calls your function: "
                    f"{fault} There are no values to look at while it is traced: use tf operations on whole tensors, "
                    "no .numpy() and no Python loop."
                )
        return None

    def _first_difference(self, cases: list[dict], results: list[Any], truths: list[Any]) -> str | None:
        for case, result, truth in zip(cases, results, truths, strict=True):
            if self.notice and (fault := self.notice(result, truth, **_numpy_inputs(case))):
                return fault
            if fault := _difference(result, truth, self.tolerance):
                return f"with {_describe(case)}, {fault}"
        return None

    def _named(self, cases: list[dict], results: list[Any]) -> Verdict | None:
        """Return the verdict of the first misconception that explains every result."""
        for wrong in self.misconceptions:
            try:
                produced = [_truth(wrong.answer(**_numpy_inputs(case))) for case in cases]
            except Exception:  # a misconception may not apply to a case; then it does not explain the answer
                continue
            if all(_difference(r, p, self.tolerance) is None for r, p in zip(results, produced, strict=True)):
                if wrong.as_given:
                    return self._not_attempted(wrong.message)
                return self._wrong(wrong.message)
        return None

    def _wrong(self, message: str) -> Verdict:
        return Verdict(NOT_YET, f"{message} Until then the notebook goes on with the course's function.")

    def _not_attempted(self, message: str = "") -> Verdict:
        text = f"{message} " if message else ""
        return Verdict(NOT_ATTEMPTED, f"{text}The notebook goes on with the course's function.")


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _foreign(result: Any) -> str:
    """Say what stands where a tensor is asked for."""
    found = "an array of NumPy's" if isinstance(result, np.ndarray | np.generic) else _kind(result)
    return (
        f"the value is right, but your function returns {found}, and a tensor is asked for. Stay in the framework: "
        "no gradient passes float(), .item(), .numpy() or a function of NumPy's."
    )


def _is_untouched(answer: Any) -> bool:
    """Say whether a function's body is only a docstring and the stub's ellipsis."""
    code = getattr(inspect.unwrap(getattr(answer, "python_function", answer)), "__code__", None)
    if code is None:
        return False
    trivial = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "COPY_FREE_VARS", "MAKE_CELL"}
    steps = list(dis.get_instructions(code))
    returned = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(step.opname in trivial for step in steps) and returned in (
        [None],
        [Ellipsis, None],
        [Ellipsis],
    )


def _build(value: Any, advrec: ModuleType) -> Any:
    if isinstance(value, Made):
        return value.build(advrec)
    return advrec.tensor(value) if isinstance(value, np.ndarray) else value


def _numpy_inputs(case: dict[str, Any]) -> dict[str, Any]:
    """Return the reference's inputs: float64 versions of exactly the numbers that the tensors hold."""
    inputs = {}
    for name, value in case.items():
        if isinstance(value, Made):
            inputs[name] = value.truth
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
            inputs[name] = value.astype(np.float32).astype(np.float64)
        elif isinstance(value, np.ndarray):
            inputs[name] = value.copy()
        else:
            inputs[name] = value
    return inputs


def _numerical_gradient(function: Callable[..., Any], inputs: dict[str, Any], name: str) -> np.ndarray:
    """Return the central differences of ``function`` in the input ``name``; float64 leaves five digits and more."""
    slopes, step = np.zeros_like(inputs[name]), 1e-5
    for place in np.ndindex(slopes.shape):
        move = np.zeros_like(slopes)
        move[place] = step
        after, before = (function(**inputs | {name: inputs[name] + sign * move}) for sign in (1, -1))
        slopes[place] = (after - before) / (2 * step)
    return slopes


def _truth(value: Any) -> Any:
    return tuple(np.asarray(part) for part in value) if isinstance(value, tuple) else np.asarray(value)


def _to_numpy(value: Any, advrec: ModuleType, *, several: bool = False) -> Any:
    """Return arrays; a list of plain numbers is one array, unless ``several`` values are expected."""
    if isinstance(value, tuple | list):
        if several or not all(_is_number(part) for part in value):
            return tuple(_to_numpy(part, advrec) for part in value)
        return np.asarray([_to_numpy(part, advrec) for part in value])
    return np.asarray(advrec.numpy(value) if hasattr(value, "dtype") else value)


def _is_number(value: Any) -> bool:
    """Say whether this is one number: Python's, NumPy's or a tensor's without axes."""
    shape = getattr(value, "shape", None)
    return isinstance(value, int | float) or (shape is not None and tuple(shape) == ())


def _snapshot(case: dict[str, Any], built: dict[str, Any], advrec: ModuleType) -> dict[str, list[np.ndarray]]:
    seen = {}
    for name, value in case.items():
        if isinstance(value, np.ndarray):
            # A tensor that was made to record its gradient goes on recording in later cells.
            recording = np.array(bool(getattr(built[name], "requires_grad", False)))
            seen[f"the input {name}"] = [np.array(advrec.numpy(built[name])), recording]
        elif isinstance(value, Made) and value.watch:
            # A made input may be an array itself, where the track's tensors would be out of place.
            what = "the input" if isinstance(built[name], np.ndarray) else "a parameter of"
            seen[f"{what} {name}"] = [np.array(part) for part in value.watch(built[name])]
    return seen


def _changed(before: dict[str, list[np.ndarray]], after: dict[str, list[np.ndarray]]) -> str | None:
    for name, parts in before.items():
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(parts, after[name], strict=True)):
            return f"the value is right, but your function changed {name} in place; work on a new array or tensor."
    return None


def _difference(result: Any, truth: Any, tolerance: float) -> str | None:
    """Return what differs, in words, or None where nothing does."""
    if isinstance(truth, tuple):
        if not isinstance(result, tuple) or len(result) != len(truth):
            if isinstance(result, tuple):
                got = f"{len(result)} values"
            else:
                got = _kind(result.item()) if result.dtype.kind == "O" else "one value"
            return f"the function should return {len(truth)} values, it returned {got}."
        for number, (part, whole) in enumerate(zip(result, truth, strict=True), start=1):
            if fault := _difference(part, whole, tolerance):
                return f"returned value {number}: {fault}"
        return None
    if isinstance(result, tuple):
        if truth.ndim > 1 and len(result) == len(truth) and all(_rows_of(part, truth) for part in result):
            return (
                "the function should return one array, it returned a list of rows: np.array(rows) makes it one, and "
                "of tensors torch.stack(rows) or tf.stack(rows)."
            )
        return f"the function should return one value, it returned {len(result)}."
    if result.shape != truth.shape:
        only = ": take its only entry" if result.size == 1 and truth.shape == () else ""
        return f"the result has shape {result.shape}, expected {truth.shape}{only}."
    if result.dtype.kind not in "biuf":
        return f"the result holds {result.dtype}, expected numbers."
    result, truth = result.astype(np.float64), truth.astype(np.float64)
    # Infinities have to be equal, and nan stands where the truth has nan: no tolerance covers them.
    finite = np.isfinite(result) & np.isfinite(truth)
    same = (result == truth) | (np.isnan(result) & np.isnan(truth))
    apart = np.where(finite, np.abs(result - truth) > tolerance * (1 + np.abs(truth)), ~same)
    if not apart.any():
        return None
    # A wrong finite number says more than a nan beside it.
    wrong = apart & np.isfinite(result)
    if not wrong.any() and np.isfinite(truth).all():
        return "the result holds nan or infinity."
    where = tuple(int(axis) for axis in np.argwhere(wrong if wrong.any() else apart)[0])
    place = f"entry {list(where)} of the result" if where else "the result"
    return f"{place} is {result[where]:.4g}, expected {truth[where]:.4g}."


def _rows_of(part: Any, truth: np.ndarray) -> bool:
    """Say whether this could be one row of the truth."""
    return (len(part) if isinstance(part, tuple) else part.size) == truth[0].size


def _describe(case: dict[str, Any]) -> str:
    parts = []
    for name, value in case.items():
        if isinstance(value, np.ndarray):
            parts.append(f"{name} of shape {value.shape}")
        elif not isinstance(value, Made):
            parts.append(f"{name} = {value!r}")
    return ", ".join(parts) or "a random case"


def _explain(error: Exception, answer: Any) -> str:
    """Return one line on an error inside the learner's function, with the line of code if it is known."""
    # TensorFlow puts the name of its kernel around the message.
    text = re.sub(r"\{\{.*?\}\}|\[Op:\w+\]|name:\s*$", "", str(error))
    text = " ".join(text.split())[:200].rstrip(" .")
    if re.search(r"ncompatible shapes|must match the size|could not be broadcast", text):
        text += " (did an axis get lost that should be kept?)"
    elif re.search(r"cannot be multiplied|Matrix size-incompatible", text):
        text += " (do the inner axes fit? A transpose may be missing, or be one too many)"
    elif "NoneType" in text:
        text += " (something is None: a gradient is, where a tape did not watch the tensor)"
    elif "multiply sequence by non-int" in text or "'tuple'" in text:
        text += " (a tuple where a tensor was meant: did a call return two things?)"
    line = ""
    code = getattr(inspect.unwrap(getattr(answer, "python_function", answer)), "__code__", None)
    if code is not None:
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename]
        if own:
            source = (own[-1].line or linecache.getline(own[-1].filename, own[-1].lineno or 0)).strip()
            line = f" at `{source}`" if source else ""
    return f"your function stopped with {type(error).__name__}{line}: {text}."
