"""``tsgen detect``: attacks and faults in the logs of plants."""

import typer

from tsgen.cli.detect import score, train, watch

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Learn what is normal from a plant's log and raise alarms on what is not.",
)
app.command()(train.train)
app.command()(score.score)
app.command()(watch.watch)
app.command()(score.report)
