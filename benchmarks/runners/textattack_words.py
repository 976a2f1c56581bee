"""TextAttack's search of the same kind: `GreedyWordSwapWIR`, with our swaps, rules and budget as its constraints.

On import it loads every library that any of its parts needs, and its first import downloads data for NLTK. What these
parts do not touch is left out here: empty modules stand for them, a list of stop words for NLTK's, and no socket opens.
"""

import importlib
import importlib.machinery
import os
import socket
import sys
import tempfile
import time
import types
from pathlib import Path

LEFT_OUT = {"flair", "jieba", "pinyin", "OpenHowNet", "language_tool_python", "bert_score"}


class Empty:
    """Makes modules whose every name is a class or another such module."""

    def find_spec(self, name, path=None, target=None):
        """Answer for the modules that are left out."""
        if name.partition(".")[0] in LEFT_OUT:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        """Return a module that makes up its names."""
        module = types.ModuleType(spec.name)

        def made_up(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return importlib.import_module(f"{spec.name}.{name}") if name[0].islower() else type(name, (), {})

        module.__getattr__ = made_up
        return module

    def exec_module(self, module):
        """Do nothing."""


def _no_network(*_):
    raise OSError("the network is off")


cache = Path(tempfile.mkdtemp(prefix="advrec-textattack-"))
(cache / "corpora" / "stopwords").mkdir(parents=True)
(cache / "corpora" / "stopwords" / "english").write_text("the\n")
(cache / "post_install_check_3").touch()
os.environ.update(TA_CACHE_DIR=str(cache), NLTK_DATA=str(cache), HF_HUB_OFFLINE="1")
socket.socket.connect = _no_network
sys.meta_path.append(Empty())
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
from serve import serve  # noqa: E402
from textattack import Attack  # noqa: E402
from textattack.constraints import PreTransformationConstraint  # noqa: E402
from textattack.constraints.overlap import MaxWordsPerturbed  # noqa: E402
from textattack.constraints.pre_transformation import RepeatModification  # noqa: E402
from textattack.goal_functions import UntargetedClassification  # noqa: E402
from textattack.models.wrappers import ModelWrapper  # noqa: E402
from textattack.search_methods import GreedyWordSwapWIR  # noqa: E402
from textattack.transformations import WordSwap  # noqa: E402
from words_model import asked, changed, load, logits, misread, options, state  # noqa: E402


class Classifier(ModelWrapper):
    """The classifier as TextAttack asks it."""

    model = None

    def __call__(self, listed):
        """Return probabilities."""
        found = np.exp(logits(list(listed)).astype(np.float64))
        return found / found.sum(axis=1, keepdims=True)


class OurSwaps(WordSwap):
    """The course's swaps; a capital stays a capital."""

    def _get_replacement_words(self, word):
        return [new.capitalize() if word[0].isupper() else new for new in options(word)]


class HasSwaps(PreTransformationConstraint):
    """Only words with swaps are ranked and changed."""

    def _get_modifiable_indices(self, current_text):
        return {place for place, word in enumerate(current_text.words) if options(word)}


def _attack():
    attack = Attack(
        UntargetedClassification(Classifier()),
        [RepeatModification(), HasSwaps(), MaxWordsPerturbed(max_num_words=state["edits"])],
        OurSwaps(),
        GreedyWordSwapWIR(wir_method="unk", unk_token="[MASK]"),
    )
    return [
        attack.attack(text, label).perturbed_text() for text, label in zip(state["texts"], state["labels"], strict=True)
    ]


def values():
    """Return what the attack leaves, and what it cost."""
    after, queries = asked(_attack)
    return {"fooled": misread(state["texts"], after), "queries": queries, "changed": changed(state["texts"], after)}


def measure():
    """Return the seconds of one attack on all texts."""
    start = time.perf_counter()
    _attack()
    return time.perf_counter() - start


if __name__ == "__main__":
    serve({"load": load, "values": values, "measure": measure})
