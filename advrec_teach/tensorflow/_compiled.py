"""Compiled forms of a loss function, kept as long as what it was compiled from stays the same."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import tensorflow as tf

_KEPT = 16
_MISSING = object()
_PLAIN = (bool, int, float, str, type(None))
_cache: OrderedDict[tuple, tuple[list, Callable]] = OrderedDict()


def _names(code: CodeType) -> Iterator[str]:
    """Return the global names in a piece of code and in the functions written inside it, and some that are not."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _seen_from(function: Callable) -> list[Any]:
    """Return what ``function`` reads: its code, globals, enclosing variables, defaults and self.

    Functions of the same notebook or module that it names are followed in turn.
    """
    seen: list[Any] = []
    waiting, known = [function], {id(function)}
    while waiting:
        current = waiting.pop()
        owner = getattr(current, "__self__", None)
        plain = getattr(current, "__func__", current)
        if not isinstance(plain, FunctionType):
            seen.append(plain)
            continue
        seen += [plain.__code__, owner, *(plain.__defaults__ or ()), *(plain.__kwdefaults__ or {}).values()]
        found = [plain.__globals__.get(name, _MISSING) for name in _names(plain.__code__)]
        for cell in plain.__closure__ or ():
            try:
                found.append(cell.cell_contents)
            except ValueError:  # named by the function, and not bound yet
                found.append(_MISSING)
        for thing in found:
            if isinstance(thing, FunctionType) and thing.__globals__ is plain.__globals__:
                if id(thing) not in known:
                    known.add(id(thing))
                    waiting.append(thing)
            else:
                seen.append(thing)
    return seen


def compiled(loss_fn: Callable, body: Callable, *settings: Any) -> Callable:
    """Return ``body(loss_fn, *settings, ...)`` as one XLA-compiled function of the remaining arguments.

    A loss is often a lambda that is written anew for every call. Its code is the same each time, so the compiled
    form is used again while the loss reads the same objects: binding ``labels`` to another tensor compiles anew,
    assigning new values to a variable does not and need not. What is changed in place without being a variable (a
    list, an array, an attribute) is read once, when the loss is first compiled, as in every ``tf.function``.
    """
    seen = _seen_from(loss_fn)
    # Numbers and text are compared by value, since equal ones need not be one object; anything else by identity,
    # which the cache keeps meaningful by keeping the object.
    key = (body, settings, *((type(o), o) if isinstance(o, _PLAIN) else id(o) for o in seen))
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key][1]
    function = tf.function(lambda *inputs: body(loss_fn, *settings, *inputs), jit_compile=True, autograph=False)
    _cache[key] = (seen, function)
    if len(_cache) > _KEPT:
        _cache.popitem(last=False)
    return function
