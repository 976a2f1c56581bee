"""Helpers of the course on adversarial learning for recommender systems.

Importing this package imports no deep-learning framework. A notebook picks its
track with ``from advrec_teach import pytorch as advrec`` or
``from advrec_teach import tensorflow as advrec``.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["claim", "exercise"]

# Resolved on first use (PEP 562): the import itself has to stay cheap.
_LAZY = {"claim": "advrec_teach.claims", "exercise": "advrec_teach.exercises"}


def __getattr__(name: str):
    """Import ``claim`` or ``exercise`` when it is first asked for."""
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
