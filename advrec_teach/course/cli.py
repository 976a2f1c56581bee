"""The command line, ``advrec``. Each command imports what it needs when it is called."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from advrec_teach import __version__
from advrec_teach.errors import CourseError

app = typer.Typer(
    name="advrec",
    help="Adversarial learning for recommender systems, in PyTorch and in TensorFlow.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Lessons = Annotated[
    list[str] | None, typer.Argument(metavar="[NN]...", help="Lessons by number or name; all if left out.")
]
Track = Annotated[str | None, typer.Option(help="pytorch or tensorflow; both if left out.")]
Jobs = Annotated[int | None, typer.Option(help="Notebooks at once; by default what cores and memory allow.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds that one notebook may take.")]
Cluster = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on the Ray cluster at this address.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Execute again what an earlier call has done.")]

INTERRUPTED = 130

_chosen_root: Path | None = None


def _root() -> Path:
    """Return the checkout that a command works in."""
    from advrec_teach import paths

    root = _chosen_root or paths.repository()
    if root is None:
        raise CourseError("This command needs a checkout of the course; run it from one, or give --root.")
    if not (root / "lessons").is_dir():
        raise CourseError(f"{root} is no checkout of the course: it has no folder lessons.")
    return root


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"advrec-teach {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    root: Annotated[Path | None, typer.Option(help="The checkout; by default the one that is installed.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    global _chosen_root
    _chosen_root = root.resolve() if root else None


@app.command()
def run(
    lessons: Lessons = None,
    track: Track = None,
    profile: Annotated[str | None, typer.Option(help="smoke, quick (default) or full.")] = None,
    jobs: Jobs = None,
    solved: Annotated[
        bool, typer.Option("--solved/--student", help="The solved lessons, or the learner's notebooks.")
    ] = False,
    solutions: Annotated[
        bool,
        typer.Option("--solutions", help="Run the solved lessons and keep them, with outputs, in solutions/."),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Set SEED.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip what ran well and has not changed.")] = False,
    timeout: Timeout = None,
    html: Annotated[bool, typer.Option("--html/--no-html", help="Make HTML pages as well.")] = True,
    strict: Annotated[
        bool,
        typer.Option("--strict/--no-strict", help="Stop a notebook at its first claim that does not hold."),
    ] = True,
    cluster: Cluster = None,
) -> None:
    """Execute lessons in parallel and sum up: seconds, memory, claims held."""
    from advrec_teach.course import run as runner

    code = runner.run(
        _root(),
        lessons or (),
        track=track,
        profile=profile,
        solved=solved,
        solutions=solutions,
        seed=seed,
        workers=jobs,
        timeout=timeout,
        resume=resume,
        html=html,
        strict=strict,
        cluster=cluster,
    )
    raise typer.Exit(code)


@app.command()
def build(
    lessons: Lessons = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if something differs.")] = False,
    diagrams: Annotated[
        bool, typer.Option("--diagrams", help="First draw new Mermaid diagrams (needs Chromium and npm).")
    ] = False,
) -> None:
    """Make the notebooks from the lessons."""
    from advrec_teach.course import build as builder

    if diagrams and check:
        raise CourseError("--check writes nothing, and --diagrams does: give one of them.")
    if diagrams:
        from advrec_teach.course import draw

        for line in draw.draw(_root()):
            print(line)
    result = builder.build(_root(), lessons, check)
    for line in result.lines():
        print(line)
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def data(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Assets; all if left out.")] = None,
) -> None:
    """Fetch data sets and models, check them, and put them into the data folder."""
    from advrec_teach import fetch

    fetch.fetch(names or None)


@app.command()
def sweep(
    lesson: Annotated[str, typer.Argument(metavar="NN", help="The lesson, by number or name.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME=VALUES", help="EPS=0,0.5,1 or SEED=0:5; repeat it."),
    ] = None,
    track: Track = None,
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    jobs: Jobs = None,
    timeout: Timeout = None,
    fresh: Fresh = False,
    cluster: Cluster = None,
) -> None:
    """Execute a lesson over a grid of its parameters and tabulate its claims' values."""
    from advrec_teach.course import sweep as sweeper

    code = sweeper.sweep(
        _root(),
        lesson,
        parameter or (),
        track=track,
        profile=profile,
        workers=jobs,
        timeout=timeout,
        fresh=fresh,
        cluster=cluster,
    )
    raise typer.Exit(code)


@app.command()
def bands(
    lessons: Lessons = None,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, ... to measure over.")] = 5,
    track: Track = None,
    profile: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    jobs: Jobs = None,
    timeout: Timeout = None,
    fresh: Fresh = False,
    cluster: Cluster = None,
) -> None:
    """Measure the bands of claims over seeds and write lessons/bands/."""
    from advrec_teach.course import bands as measurer

    code = measurer.bands(
        _root(),
        lessons or (),
        seeds=seeds,
        track=track,
        profile=profile,
        workers=jobs,
        timeout=timeout,
        fresh=fresh,
        cluster=cluster,
    )
    raise typer.Exit(code)


@app.command()
def course(jobs: Jobs = None, timeout: Timeout = None) -> None:
    """Fetch the data, check the notebooks, execute every solved lesson in both tracks."""
    from advrec_teach.course import course as everything

    raise typer.Exit(everything.course(_root(), workers=jobs, timeout=timeout))


@app.command()
def progress() -> None:
    """Show which exercises you have solved."""
    from advrec_teach.course import learner

    print(learner.progress_table())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    lesson: Annotated[str | None, typer.Argument(metavar="[NN]", help="The lesson to open.")] = None,
    track: Annotated[str, typer.Option(help="pytorch or tensorflow.")] = "pytorch",
) -> None:
    """Open the notebooks in JupyterLab; what stands behind -- goes to JupyterLab."""
    from advrec_teach.course import learner

    extra = list(context.args)
    if lesson is not None and lesson.startswith("-"):  # `advrec lab -- --no-browser` names no lesson
        extra.insert(0, lesson)
        lesson = None
    raise typer.Exit(learner.lab(_root(), lesson, track, extra))


@app.command(name="map")
def course_map() -> None:
    """Bring the course map in README.md up to date."""
    from advrec_teach.course import report

    changed = report.write_map(_root())
    print("README.md has a new course map." if changed else "The course map in README.md is up to date.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 1."""
    try:
        app(arguments, prog_name="advrec")
    except CourseError as error:
        print(f"advrec: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer makes this of Ctrl-C
            print("advrec: stopped", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
