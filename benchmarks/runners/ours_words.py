"""Our search: the words in the order of their importance, all swaps of the next word in a round."""

import time

from serve import serve
from words_model import asked, changed, load, logits, misread, options, state

from advrec_teach import text_attacks


def _attack():
    listed, labels = state["texts"], state["labels"]
    order = text_attacks.leave_one_out(listed, labels, logits, options)
    propose = text_attacks.by_order(options, order, count=state["count"])
    spent = [len(words) for words in order]
    return text_attacks.search(listed, labels, logits, propose, edits=state["edits"], spent=spent).after


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
