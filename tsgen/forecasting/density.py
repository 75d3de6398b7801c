"""Log densities of what happened, given the history before it."""

import numpy as np
import torch
from gluonts.dataset import Dataset
from gluonts.transform import Transformation

from tsgen.core import seeded
from tsgen.forecasting.data.entry import read_entry
from tsgen.forecasting.data.fields import stack_windows
from tsgen.forecasting.drawing import Drawing


def log_densities(
    drawing: Drawing, input_transform: Transformation, dataset: Dataset, batch_size: int
) -> np.ndarray:
    """Log density of each series' last horizon, as a predictor's ``log_prob`` says.

    Args:
        drawing: the network and the device that it is on.
        input_transform: from an entry to a window.
        dataset: entries that hold history and truth.
        batch_size: series at a time.

    Returns:
        (entries,), NaN where the model cannot marginalise what is missing.

    Raises:
        ValueError: for a series without history, or with values outside the support.
    """
    horizon, forecaster = drawing.shape.prediction_length, drawing.network
    raw, histories = list(dataset), []
    for number, entry in enumerate(raw):
        length = np.shape(entry["target"])[-1]
        if length <= horizon:
            raise ValueError(
                f"series {entry.get('item_id', number)!r} has {length} steps; a log density "
                f"needs more than prediction_length={horizon}"
            )
        histories.append({**entry, "target": np.asarray(entry["target"])[..., :-horizon]})
    # statistics must not see what they are to judge
    entries = list(input_transform.apply(histories, is_train=False))
    truth = np.stack([read_entry(e, i)["target"][:, -horizon:].T for i, e in enumerate(raw)])
    for number, horizon_values in enumerate(truth):
        where = f"series {raw[number].get('item_id', number)!r}"
        forecaster.target.link.check(horizon_values.T, where)
    forecaster.eval()
    values = []
    for index in torch.arange(len(entries)).split(batch_size):
        window = stack_windows([entries[i] for i in index], drawing.device)
        future = torch.from_numpy(truth[index.numpy()]).to(drawing.device)
        carried = [window.past.target[:, -1]]
        for row in (future - window.center[:, None]).to(carried[0].dtype).unbind(1):
            carried.append(torch.where(row.isnan(), carried[-1], row))
        observed = ~future.isnan()
        stretch = window.future._replace(target=torch.stack(carried[1:], 1), observed=observed)
        with seeded(0, int(index[0])), drawing.inference():
            densities = forecaster.log_prob(window._replace(future=stretch))
        if densities.dim() == 2:  # of single steps, those of the context among them
            densities = densities[:, -horizon:].sum(1)
        if forecaster.model.partial != "marginal":
            densities = torch.where(observed.flatten(1).all(1), densities, torch.nan)
        values.append(densities.double().cpu().numpy())
    return np.concatenate(values)
