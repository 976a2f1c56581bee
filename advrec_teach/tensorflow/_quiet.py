"""Import TensorFlow without its start-up messages.

Its C++ part writes a few lines about processors and missing GPU drivers before any
log level counts. They say nothing that a learner could act on, and they would stand
at the top of every notebook.
"""

import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _import_tensorflow() -> None:
    """Import TensorFlow with file descriptor 2 put aside; if that fails, show what it had written."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error: nothing to keep quiet
        import tensorflow

        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            aside.seek(0)
            sys.stderr.write(aside.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


if "tensorflow" not in sys.modules:
    _import_tensorflow()
