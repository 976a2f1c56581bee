"""Compiled forms of a loss function, kept as long as what it was compiled from stays the same."""

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_KEPT = 16
_cache: OrderedDict[tuple, tuple[list, Callable]] = OrderedDict()


def _seen_from(function: Callable) -> tuple[tuple, list]:
    """Return a key for ``function``, and the globals, enclosing variables, defaults and self that it names.

    A loss function is often a lambda that is written anew for every call. Its code is the same each time;
    the compiled form may be used again if every object that the code names is the same one too. The
    objects are returned so that the cache keeps them: an identity says nothing once its object is gone.
    """
    owner = getattr(function, "__self__", None)
    plain = getattr(function, "__func__", function)
    if not inspect.isfunction(plain):
        return (id(function),), [function]
    names = inspect.getclosurevars(plain)
    objects = [owner, *names.globals.values(), *names.nonlocals.values()]
    objects += [*(plain.__defaults__ or ()), *(plain.__kwdefaults__ or {}).values()]
    plain_types = (bool, int, float, str, type(None))
    # Numbers and text are compared by value, since equal ones need not be one object.
    marks = tuple((type(o), o) if isinstance(o, plain_types) else id(o) for o in objects)
    return (plain.__code__, marks), objects


def compiled(loss_fn: Callable, body: Callable, *settings: Any) -> Callable:
    """Return ``body(loss_fn, *settings, ...)`` as one XLA-compiled function of the remaining arguments.

    The compiled form is used again while ``loss_fn`` has the same code and names the same objects:
    binding ``labels`` to another tensor compiles anew, assigning new values to a variable does not and
    need not. A list or array that is changed in place, or a global that is named only by a function that
    ``loss_fn`` calls, is read once, when the loss is first compiled, as in every ``tf.function``.
    """
    key, objects = _seen_from(loss_fn)
    key = (body, settings, *key)
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key][1]
    function = tf.function(lambda *arguments: body(loss_fn, *settings, *arguments), jit_compile=True, autograph=False)
    _cache[key] = (objects, function)
    if len(_cache) > _KEPT:
        _cache.popitem(last=False)
    return function
