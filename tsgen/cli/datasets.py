"""``tsgen datasets``: which data sets there are, what is known of them, how to get them."""

from typing import Annotated, Any

import typer

from tsgen.cli.common import JsonOption
from tsgen.cli.output import print_json, print_table

app = typer.Typer(
    no_args_is_help=True,
    help="Data sets by name: what each is, whether it is here, how to get it.",
)
NameArgument = Annotated[str, typer.Argument(help="A name that `tsgen datasets list` prints.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List all data sets: shape, frequency, horizon, test windows and whether they are here.

    Files are looked for under the folder that the environment variable TSGEN_DATA names, in
    forecasting/; logs of plants with attacks, of kind "log", in anomaly/.
    """
    from tsgen.data.plant import log_cards
    from tsgen.data.registry import cards, status

    rows = [
        {
            "name": name,
            "kind": card.kind,
            "series": card.series,
            "channels": card.channels,
            "freq": card.freq,
            "length": "-".join(str(length) for length in dict.fromkeys(card.lengths)),
            "horizon": card.prediction_length,
            "windows": card.windows,
            "state": status(name),
            "title": card.title,
        }
        for name, card in sorted(cards.items())
    ]
    rows += [
        {
            "name": name,
            "kind": log.kind,
            "series": None,
            "channels": _range(log.channels),
            "freq": log.period,
            "length": _range(log.train_rows),
            "horizon": None,
            "windows": None,
            "state": log.state,
            "title": log.title,
        }
        for name, log in sorted(log_cards().items())
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(
            [{k: "" if v is None else v for k, v in row.items() if k != "title"} for row in rows]
        )


@app.command()
def info(name: NameArgument, as_json: JsonOption = False) -> None:
    """Tell everything known of a data set: source, licence, citation, protocol, traps, files."""
    from dataclasses import asdict

    from tsgen.data.plant import log_cards
    from tsgen.data.registry import cards, status, verify

    log = log_cards().get(name)
    card = cards[name] if log is None else log
    facts: dict[str, Any] = {
        k: v for k, v in asdict(card).items() if v not in (None, (), {}, 0) and k != "files"
    }
    facts |= {
        "state": status(name) if log is None else log.state,
        "how to get it": facts.pop("get")["how"],
    }
    verified = verify(name) if log is None else log.verify()
    checked = [{"file": v.file, "as recorded": "yes" if v.ok else f"no: {v.why}"} for v in verified]
    if as_json:
        print_json(facts | {"files": [asdict(file) for file in card.files], "checked": checked})
        return
    for key, value in facts.items():
        if key in ("table", "gluonts", "physionet", "flights", "simulator"):
            continue
        several = (
            "\n".join(f"  - {' '.join(str(v).split())}" for v in value) if key == "notes" else ""
        )
        print(f"{key}: {several and chr(10) + several or ' '.join(str(value).split())}")
    if checked:
        print_table(checked)


@app.command()
def get(name: NameArgument) -> None:
    """Have a data set here: download it where that is possible, and compare its checksums.

    Where it cannot be downloaded the answer says where it is published and where to put it.
    """
    from tsgen.data.plant import log_cards
    from tsgen.data.registry import obtain, verify

    if (log := log_cards().get(name)) is not None:
        if log.state == "missing":
            raise log.missing("tsgen cannot download it")
        print(f"{name}: {log.where}")
        for file, ok, why in log.verify():
            print(f"{file}: {'as recorded' if ok else why}")
        return
    folder = obtain(name)
    if folder is None:
        print(f"{name} is simulated: nothing to get")
        return
    print(f"{name}: {folder}")
    for file, ok, why in verify(name):
        print(f"{file}: {'as recorded' if ok else why}")


def _range(value: int | tuple[int, int]) -> int | str:
    """A number, or the fewest and the most."""
    return value if isinstance(value, int) else f"{value[0]}-{value[1]}"
