"""GluonTS's repository: where its data sets are kept, and how they are downloaded and checked."""

import os
import shutil
from pathlib import Path

from tsgen.core.atomic import PART, locked, remove
from tsgen.data.card import Card
from tsgen.data.files import compare, data_file, looked_in, missing


def folder_of(card: Card) -> Path | None:
    """Where a set is: ``TSGEN_DATA/forecasting/NAME``, or where GluonTS keeps its downloads."""
    own = data_file(card.name)
    if own is not None:
        return own
    folder = cache_folder() / card.get.name
    # without metadata it is what a failed download left behind
    return folder if (folder / "metadata.json").is_file() else None


def cache_folder() -> Path:
    """Where GluonTS keeps what it downloads."""
    from gluonts.dataset.repository import datasets

    return Path(datasets.default_dataset_path)


def download(card: Card) -> Path:
    """Have GluonTS download a set into its own folder.

    Sets that come as an archive of JSON are compared with the card's checksums before GluonTS
    writes them anew, with fewer digits and further fields: no checksum applies to what it wrote.

    Raises:
        MissingData: if that fails.
        ValueError: if the archive is not what the card says.
    """
    from gluonts.dataset.repository import _gp_copula_2019, datasets

    folder = cache_folder() / card.get.name
    work = folder.with_name(folder.name + PART)
    whole = work / "whole" / folder.name
    with locked(work):
        try:
            for leftover in work.iterdir():  # of a download that was stopped
                remove(leftover)
            if card.get.name in _gp_copula_2019.datasets_info:
                _unpack(card, work, whole)
            else:
                datasets.materialize_dataset(card.get.name, whole.parent)
            remove(folder)
            os.replace(whole, folder)
        except _Different as error:
            raise ValueError(str(error)) from None
        except Exception as error:
            what = f"no folder {card.name} in {looked_in()} and GluonTS could not download it"
            raise missing(card, f"{what} ({type(error).__name__}: {error})") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return folder


class _Different(Exception):
    """An archive is not what the card says."""


def _unpack(card: Card, work: Path, target: Path) -> None:
    """Download an archive, compare it with the card, and keep it as GluonTS does."""
    from gluonts.dataset.common import MetaData, TrainDatasets
    from gluonts.dataset.jsonl import JsonLinesWriter
    from gluonts.dataset.repository import _gp_copula_2019 as source
    from gluonts.dataset.repository._util import metadata

    info = source.datasets_info[card.get.name]
    source.download_dataset(work, info)
    (folder,) = {path.parent for path in work.glob("*/train")}
    for file in card.files:
        verified = compare(file, folder / Path(file.path).name)
        if not verified.ok:
            raise _Different(f"{info.url}: {file.path} {verified.why}; nothing was kept of it")
    about = MetaData(**metadata(info.num_series, info.freq, info.prediction_length))
    train, test = (source.get_data(folder / part, info) for part in ("train", "test"))
    TrainDatasets(about, train, test).save(str(target), JsonLinesWriter(), overwrite=True)
