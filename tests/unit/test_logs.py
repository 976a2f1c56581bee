"""Event files come back as they were written, in either framework, and no process ends up with both."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from advrec_teach import logs
from advrec_teach.errors import CourseError

WRITE = {
    "pytorch": """
        from advrec_teach import logs
        logs.keep_tensorflow_out()
        from torch.utils.tensorboard import SummaryWriter
        def write(folder, curves):
            with SummaryWriter(folder) as writer:
                for tag, values in curves.items():
                    for step, value in enumerate(values):
                        writer.add_scalar(tag, value, 10 * step)
        other = "tensorflow"
    """,
    "tensorflow": """
        import tensorflow as tf
        from advrec_teach import logs
        def write(folder, curves):
            writer = tf.summary.create_file_writer(folder)
            with writer.as_default():
                for tag, values in curves.items():
                    for step, value in enumerate(values):
                        tf.summary.scalar(tag, value, step=10 * step)
            writer.close()
        other = "torch"
    """,
}
READ = """
import sys
import numpy as np
root = sys.argv[1]
write(f"{root}/one", {"loss/a": [0.5, 1e-12, 3.0], "b": [1.0, 2.0]})
write(f"{root}/two/deep", {"b": [4.0]})
runs = logs.read_events(root)
assert sorted(runs) == ["one", "two/deep"], runs
assert sorted(runs["one"]) == ["b", "loss/a"]
steps, values = runs["one"]["loss/a"]
assert np.array_equal(steps, [0, 10, 20]), steps
assert np.allclose(values, [0.5, 1e-12, 3.0], rtol=1e-6), values
assert other not in sys.modules, other
print("read")
"""


@pytest.mark.parametrize("track", WRITE)
def test_curves_come_back_and_the_other_framework_stays_out(track, tmp_path):
    program = textwrap.dedent(WRITE[track]) + READ
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("read\n")


def test_many_points_are_all_kept(tmp_path):
    """TensorBoard's reader thins out long curves unless told not to."""
    logs.keep_tensorflow_out()
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path / "run"))
    for step in range(12_000):
        summary = Summary(value=[Summary.Value(tag="x", simple_value=float(step))])
        writer.add_event(Event(step=step, wall_time=float(step), summary=summary))
    writer.close()
    steps, values = logs.read_events(tmp_path)["run"]["x"]
    assert np.array_equal(steps, np.arange(12_000)) and np.array_equal(values, steps)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(CourseError, match="no event file under"):
        logs.read_events(tmp_path)
