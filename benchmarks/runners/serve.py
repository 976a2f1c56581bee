"""The loop that every side of a comparison runs: commands come in as lines of JSON, answers go out the same way.

A runner is executed by the interpreter of its own environment, so nothing here may import anything but NumPy and the
standard library. What a library prints goes to the standard error stream and can't disturb the protocol.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable


def per_call(function: Callable[[], object], seconds: float) -> float:
    """Call ``function`` until ``seconds`` have passed, once at least; return the seconds of one call."""
    calls = 0
    start = time.perf_counter()
    while True:
        function()
        calls += 1
        passed = time.perf_counter() - start
        if passed >= seconds:
            return passed / calls


def serve(commands: dict[str, Callable]) -> None:
    """Answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"value": commands[request["command"]](**request["arguments"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
