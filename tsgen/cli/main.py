"""Entry point: commands, and what they answer when something is wrong."""

import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import typer

from tsgen.cli import benchmark, datasets, evaluate, forecast, train
from tsgen.cli.output import note

app = typer.Typer(
    name="tsgen",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Probabilistic forecasts of many related series: sample paths, honest scores, one report.

Start with a CSV that has a column of times and a column for each series:

    tsgen train demand.csv --model lowrank --horizon 24 --out model/

trains, calibrates on held-out data, and compares the forecasts with baselines. Then

    tsgen forecast model/ demand.csv --quantiles .1,.5,.9 --out forecast.csv

forecasts what comes after the table's end. `tsgen COMMAND --help` explains each command.""",
)
app.add_typer(datasets.app, name="datasets")


class _Stopped(Exception):
    """Ctrl-C, which typer would answer itself, without the notes on what is safe."""


def _stoppable(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt as stop:
            raise _Stopped from stop

    return run


for _name, _command in (
    ("train", train.train),
    ("forecast", forecast.forecast),
    ("evaluate", evaluate.evaluate),
    ("benchmark", benchmark.benchmark),
):
    app.command(_name)(_stoppable(_command))


@app.callback(invoke_without_command=True)
def start(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    """Options of all commands."""
    if version:
        from tsgen._version import __version__

        print(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code.

    Args:
        arguments: instead of those of the process.
    """
    for library in ("gluonts", "matplotlib", "lightning"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"tsgen\.")
        warnings.showwarning = lambda message, *_, **__: note(str(message))
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """The exit code; whatever is wrong becomes one line."""
    try:
        result = typer.main.get_command(app)(
            args=arguments, prog_name="tsgen", standalone_mode=False, obj=arguments
        )
        return int(result or 0)
    except _Stopped as stop:
        _complain("stopped.", stop.__cause__)
        return 130
    except Exception as error:
        if os.environ.get("TSGEN_DEBUG"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error)
            return 2
        if hasattr(error, "format_message"):  # a usage error of typer's
            command = f"tsgen {arguments[0]}" if arguments else "tsgen"
            text = str(error.format_message()).strip().rstrip(".")
            _complain(f"{text}. Try '{command} --help'", error)
            return 2
        # what is wrong with the data, the options or the files; else something went wrong here
        usual = isinstance(error, ValueError | FileNotFoundError | PermissionError | OSError)
        named = str(error) if usual else f"{type(error).__name__}: {error}"
        _complain(named, error)
        return 2 if usual else 1


def _complain(text: str, error: BaseException | None) -> None:
    notes = " ".join(getattr(error, "__notes__", []))
    line = " ".join(f"{text} {notes}".split())
    print(f"tsgen: {line}", file=sys.stderr)
