"""The TFDPM-style detector."""

import numpy as np
import torch

from tsgen.anomaly.forecast import ForecastDetector
from tsgen.anomaly.log import Data, read_runs
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.scorers import DenoisingError, Scorer
from tsgen.core import OptionError, seeded
from tsgen.diffusion import GivenSteps
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.forecasting.estimator import GenerativeEstimator
from tsgen.models import Diffusion, ScheduleNetwork, search_steps

_ROWS = 4096  # of a log that the search looks at


class TFDPMDetector(ForecastDetector):
    """Patterns of a window, a diffusion model of the row after it, and what it would change.

    In the style of TFDPM (Yan, Zhou, Zhan, Xia 2021, arXiv 2112.10774), of which the abstract was
    to be had: nothing here claims its figures. The model is that of
    :class:`~tsgen.estimators.tfdpm.TFDPMEstimator`. By default a row is blurred a little and the
    model says where it belongs (:class:`~tsgen.anomaly.scorers.DenoisingError`), which takes a few
    evaluations of the network; samples against the row (``SampleScore``) run a whole sampler, which
    :meth:`learn_steps` shortens.

    Args:
        readout: mean over eight rows, as many as the window has, and over the channels, in units of
            the channels' deviations: divided by what is usual of each, errors of channels that are
            nearly certain would decide.
        threshold: where alarms begin.
        policy: how scores become alarms.
        estimator: with other options; by default a window of eight rows and 40 epochs.
        scorer: what is measured.
        seed: of the training.
    """

    readout: Readout = Readout(smooth=8)  # noqa: RUF009
    scorer: Scorer = DenoisingError()  # noqa: RUF009

    def _base(self) -> GenerativeEstimator:
        if self.estimator is None:
            return TFDPMEstimator(prediction_length=1, max_epochs=40, verbose=False)
        if not isinstance(self.estimator, TFDPMEstimator):
            raise OptionError(
                type(self).__name__, "estimator", self.estimator, "a TFDPMEstimator",
                "ForecastDetector takes any",
            )  # fmt: skip
        return self.estimator

    def learn_steps(
        self, normal: Data, most: int = 10, batches: int = 1000, grid: int = 9
    ) -> GivenSteps:
        """Learn a schedule of few steps and draw samples with it from now on.

        A :class:`~tsgen.models.ScheduleNetwork` is trained on every other row; the schedule with
        the least energy score on the rest is kept. The model is not changed.

        Args:
            normal: data without attacks.
            most: steps allowed.
            batches: of 256 rows, of the network's training.
            grid: points on each side of the search's grid.

        Returns:
            The sampler of few steps.
        """
        self._require_fit()
        model = self.model_
        assert isinstance(model, Diffusion)
        parts = [self._some_pairs(log) for log in read_runs(normal, self.names_)]
        x, cond = (torch.cat(values) for values in zip(*parts, strict=True))
        with seeded(self.seed):
            order = torch.randperm(len(x), device=x.device)[:_ROWS]
            learn, check = order[::2], order[1::2][:500]
            network = ScheduleNetwork(model).to(x)
            rows = (
                learn[torch.randint(len(learn), (256,), device=x.device)] for _ in range(batches)
            )
            network.learn(model, ((x[i], cond[i]) for i in rows))

        def quality(sampler: GivenSteps) -> float:
            model.use_sampler(sampler)
            with torch.no_grad(), seeded(0):
                samples = model.sample(cond[check], (20,)).flatten(2)
            rows = samples.transpose(0, 1)
            spread = torch.cdist(rows, rows).sum((1, 2)) / (20 * 19)
            gaps = (rows - x[check].flatten(1)[:, None]).norm(dim=2).mean(1)
            return float((gaps - spread / 2).mean())

        before = model.sampler
        try:
            sampler = search_steps(model, network, cond[check[:64]], most, quality, grid)
        except ValueError:
            model.use_sampler(before)
            raise
        model.use_sampler(sampler)
        return sampler

    def _some_pairs(self, log: object) -> tuple[torch.Tensor, torch.Tensor]:
        """Events and conditioning of a run's rows, evenly spread."""
        run, _ = self.standardised(log)  # type: ignore[arg-type]
        chosen = np.arange(self.memory, len(run.values))
        chosen = chosen[:: max(1, len(chosen) // (2 * _ROWS))]
        pairs = []
        for row in np.array_split(chosen, max(1, len(chosen) // 1024)):
            if len(row):
                first, last = row[0] - self.memory, row[-1] + 1
                with torch.no_grad():
                    x, cond, _ = self._pairs(run.values[first:last], run.observed[first:last])
                keep = torch.as_tensor(row - row[0], device=x.device)
                pairs.append((x[keep], cond[keep]))
        x, cond = (torch.cat(values) for values in zip(*pairs, strict=True))
        return x, cond
