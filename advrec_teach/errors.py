"""The one exception that stands for a user's mistake or a machine's limit."""


class CourseError(Exception):
    """Something the user can mend. The message is one line and says what to do.

    The command line prints it without a traceback; in a notebook it is the last
    line of the error.
    """

    def _render_traceback_(self) -> list[str]:
        """Show one line instead of a traceback in IPython, which looks for this method."""
        return [f"{type(self).__name__}: {self}"]
