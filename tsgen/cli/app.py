"""The commands together, and what they answer when something is wrong."""

import logging
import os
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from tsgen.cli import benchmark, datasets, detect, evaluate, forecast, train
from tsgen.cli.checks import Failure
from tsgen.cli.output import complain, note
from tsgen.core.atomic import WriteError


class _Stopped(Exception):
    """Ctrl-C, which typer would answer itself, without the notes on what is safe."""

    def __init__(self, stop: KeyboardInterrupt) -> None:
        super().__init__()
        self.stop = stop


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _Stopped(stop) from stop


app = typer.Typer(
    name="tsgen",
    cls=_Commands,
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
app.add_typer(detect.app, name="detect")
app.command()(train.train)
app.command()(forecast.forecast)
app.command()(evaluate.evaluate)
app.command()(benchmark.benchmark)


@app.callback(invoke_without_command=True)
def start(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    """Options of all commands."""
    if version:
        from tsgen._version import __version__

        print(__version__)
        raise typer.Exit


def run(arguments: list[str]) -> int:
    """Run a command.

    Returns:
        Its exit code; whatever is wrong becomes one line on stderr.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
    """
    for library in ("gluonts", "matplotlib", "lightning"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"tsgen\.")
        warnings.showwarning = lambda message, *_, **__: note(" ".join(str(message).split()))
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        result = typer.main.get_command(app)(
            args=arguments, prog_name="tsgen", standalone_mode=False, obj=arguments
        )
        return int(result or 0)
    except _Stopped as stopped:
        raise stopped.stop from None
    except typer.Abort as abort:
        raise KeyboardInterrupt from abort
    except Exception as error:
        if os.environ.get("TSGEN_DEBUG"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error)
            return 2
        if hasattr(error, "format_message"):  # a usage error of typer's
            commands = typer.main.get_group(app).commands
            command = f"tsgen {arguments[0]}" if arguments and arguments[0] in commands else "tsgen"
            text = str(error.format_message()).strip().rstrip(".")
            complain(f"{text}. Try '{command} --help'", error)
            return 2
        return _answer(error)


def _answer(error: Exception) -> int:
    """The exit code of an error, which is told.

    Errors about the data, the options, files that are not there and places that cannot be written
    are wrong use; whatever else happens, and everything after the checks (``working``), is a
    failure.
    """
    misuse = (ValueError, FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
    full = isinstance(error.__cause__ if isinstance(error, Failure) else error, WriteError)
    expected = isinstance(error, ValueError | OSError | Failure)
    complain(str(error) if expected else f"{type(error).__name__}: {error}", error)
    return 2 if full or isinstance(error, misuse) else 1
