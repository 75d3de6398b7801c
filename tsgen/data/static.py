"""What is constant for an item: numbers, and names as codes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsgen.core import option_text
from tsgen.data.entries import Entry

Categories = tuple[tuple[str, tuple[str, ...]], ...]
"""The names in each column of names, in the order of their codes."""


def categories_of(frame: pd.DataFrame, columns: Sequence[str]) -> Categories:
    """The names in those columns that do not hold numbers."""
    return tuple(
        (column, tuple(sorted(frame[column].dropna().map(str).unique())))
        for column in columns
        if not pd.api.types.is_numeric_dtype(frame[column])
    )


def static_features(
    rows: pd.DataFrame, columns: Sequence[str], categories: Categories, item: str
) -> Entry:
    """An item's ``feat_static_real`` and ``feat_static_cat``, as far as it has them.

    Args:
        rows: the item's.
        columns: the static ones.
        categories: see :func:`categories_of`.
        item: its name.

    Raises:
        ValueError: naming the item, column and value, for one that changes, is missing or
            infinite, or is none of the names.
    """
    names = dict(categories)
    codes, numbers = [], []
    for column in columns:
        where = f"item {item!r}: static column {column!r}"
        values = rows[column].drop_duplicates()
        if len(values) > 1:
            raise ValueError(
                f"{where} changes from {_shown(values.iloc[0])} to {_shown(values.iloc[1])}; name "
                f"it in {option_text('known')} or {option_text('past')}"
            )
        value = values.iloc[0]
        if pd.isna(value):
            raise ValueError(f"{where} is empty")
        if column not in names:
            number = pd.to_numeric(value, errors="coerce")
            if not np.isfinite(number):
                raise ValueError(f"{where} is {_shown(value)}, expected a finite number")
            numbers.append(float(number))
        elif str(value) in names[column]:
            codes.append(names[column].index(str(value)))
        else:
            raise ValueError(
                f"item {item!r}: {column}={_shown(value)} is none of the names seen before: "
                f"{', '.join(names[column])}"
            )
    features: Entry = {"feat_static_real": numbers} if numbers else {}
    return features | ({"feat_static_cat": codes} if codes else {})


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)
