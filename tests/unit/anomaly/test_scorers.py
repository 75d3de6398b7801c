import functools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ttest_rel

from tsgen import GaussianEstimator
from tsgen.anomaly import metrics
from tsgen.anomaly.baselines import AR1Detector, VARDetector
from tsgen.anomaly.log import read_runs
from tsgen.anomaly.readout import Readout
from tsgen.anomaly.scorers import DenoisingError, Energy, NegativeLogLikelihood, SampleScore
from tsgen.anomaly.tfdpm import TFDPMDetector
from tsgen.core import seeded
from tsgen.diffusion import CosineSchedule, GivenSteps
from tsgen.estimators import Patterns
from tsgen.estimators.tfdpm import TFDPMEstimator
from tsgen.models import DDPM, EnergyDDPM, Gaussian
from tsgen.nets import Dense, EnergyDenoiser

PATTERNS = Patterns(hidden_size=64, features=8)
QUICK = {"verbose": False, "device": "cpu"}


class ExactDDPM(DDPM):
    """Knows that x is N(cond, .25)."""

    def denoiser(self, cond, observed=None, times=None):
        def denoise(x, t):
            time = torch.tensor(t, dtype=torch.float64)
            alpha, sigma = self.schedule.alpha(time).item(), self.schedule.sigma(time).item()
            gain = alpha * 0.25 / (alpha**2 * 0.25 + sigma**2)
            return cond + gain * (x - alpha * cond)

        return denoise


def test_denoising_error_of_a_known_law():
    """Noises of opposite sign cancel in a linear denoiser: e = ((1 - alpha gain) (x - cond))^2."""
    model = ExactDDPM((2,), (2,), schedule=CosineSchedule())
    x, cond = torch.randn(5, 2), torch.randn(5, 2)
    expected = torch.stack([(r**2 / (0.25 + r**2) * (x - cond)) ** 2 for r in (0.3, 0.9)]).mean(0)
    for power in (2, 1):
        scorer = DenoisingError(levels=(0.3, 0.9), power=power)
        found = scorer.errors(model, x, cond, torch.ones_like(x))
        torch.testing.assert_close(found, expected ** (power / 2), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def gaussian():
    with seeded(0):
        model = Gaussian((3,), (2,), covariance="full").eval()
        return model, torch.randn(6, 3), torch.randn(6, 2)


def test_the_mean_of_the_channels_is_the_likelihood(gaussian):
    model, x, cond = gaussian
    with torch.no_grad():
        found = NegativeLogLikelihood().errors(model, x, cond, torch.ones_like(x))
        torch.testing.assert_close(found.sum(1), -model.log_prob(x, cond))


def test_likelihood_of_what_was_observed(gaussian):
    """The marginal density; the mean is over the channels that were observed."""
    model, x, cond = gaussian
    mask = torch.ones_like(x)
    mask[:, 1] = 0
    with torch.no_grad():
        found = NegativeLogLikelihood().errors(model, x, cond, mask)
        torch.testing.assert_close((found * mask).sum(1), -model.log_prob(x, cond, mask))


@pytest.mark.parametrize("kind", ["crps", "energy", "residual"])
def test_sample_scores_are_their_definitions(gaussian, kind):
    model, x, cond = gaussian
    with torch.no_grad():
        found = SampleScore(kind, 20).errors(model, x, cond, torch.ones_like(x))
        for i in range(len(x)):
            with seeded(0):
                s = model.sample(cond[i : i + 1], (20,))[:, 0]
            if kind == "residual":
                expected = (x[i] - s.mean(0)) ** 2 / (s.var(0) + 0.01)
                torch.testing.assert_close(found[i], expected, rtol=1e-4, atol=1e-5)
            elif kind == "crps":
                pairs = (s[:, None] - s[None]).abs().sum((0, 1)) / (2 * 20 * 19)
                expected = (s - x[i]).abs().mean(0) - pairs
                torch.testing.assert_close(found[i], expected, rtol=1e-4, atol=1e-5)
            else:
                pairs = torch.cdist(s, s).sum() / (2 * 20 * 19)
                expected = (s - x[i]).norm(dim=1).mean() - pairs
                torch.testing.assert_close(found[i].sum(), expected, rtol=1e-4, atol=1e-5)


def test_a_row_does_not_know_the_others(gaussian):
    model, x, cond = gaussian
    for scorer in (SampleScore("energy", 8), NegativeLogLikelihood(8)):
        with torch.no_grad():
            whole = scorer.errors(model, x, cond, torch.ones_like(x))
            one = scorer.errors(model, x[2:3], cond[2:3], torch.ones(1, 3))
        torch.testing.assert_close(one[0], whole[2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DenoisingError(levels=()),
            r"levels=\(\) must be above 0 and finite and not empty",
        ),
        (lambda: DenoisingError(levels=(0.0,)), r"levels=\(0.0,\) must be"),
        (lambda: DenoisingError(draws=3), "draws=3 must be at least 2 and even"),
        (lambda: Energy(levels=(-1.0,)), r"levels=\(-1.0,\) must be above 0"),
        (lambda: Energy().check(DDPM((1,), (1,))), "needs a model with an energy"),
        (lambda: SampleScore(num_samples=1), "num_samples=1 must be at least 2"),
        (lambda: NegativeLogLikelihood().check(DDPM((1,), (1,))), "needs a density; DDPM has none"),
    ],
)
def test_bad_scorers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- a law whose parts break one at a time ------------------------------------------------------


def coupled(rows, seed, break_dependence=()):
    """Six AR(1) channels with standard normal marginals, in pairs of correlation .95.

    Inside ``break_dependence`` the second of each pair goes its own way, by the same AR(1) law.
    """
    random = np.random.default_rng(seed)
    shared, own, other = (random.normal(size=(rows, 3)) for _ in range(3))
    driver = np.where(np.isin(np.arange(rows), break_dependence)[:, None], other, 0.95 * shared
                      + math.sqrt(1 - 0.95**2) * own)  # fmt: skip
    x = np.zeros((rows, 6))
    for t in range(1, rows):
        x[t] = 0.6 * x[t - 1] + 0.8 * np.concatenate([shared[t], driver[t]])
    return pd.DataFrame(x)


def ratio(scores, inside):
    """AUC-ROC: a random row inside scores above one outside."""
    ranks = scores.argsort().argsort()
    count = len(inside)
    outside = len(scores) - count
    return (ranks[inside].sum() - count * (count - 1) / 2) / (count * outside)


@pytest.fixture(scope="module")
def tfdpm():
    estimator = TFDPMEstimator(
        1, window=4, patterns=PATTERNS, network=Dense(2, 64), max_epochs=12, **QUICK
    )
    return TFDPMDetector(estimator=estimator, readout=Readout("mean", smooth=6)).fit(
        coupled(4000, 0)
    )


def test_a_change_of_dependence_alone_is_seen(tfdpm):
    """Marginals and autocorrelations stay: what looks at channels one by one sees nothing."""
    inside = np.arange(600, 900)
    log = coupled(1200, 1, inside)
    found = ratio(tfdpm.decision_function(log), inside)
    alone = AR1Detector(readout=Readout("mean", smooth=6)).fit(coupled(4000, 0))
    blind = ratio(alone.decision_function(log), inside)
    assert found > 0.95, found
    assert abs(blind - 0.5) < 0.15, blind


def test_a_law_of_its_own_steps(tfdpm):
    """Few steps are found, kept with the detector, and sample as well as the solver's twenty."""
    normal = coupled(2000, 2)
    before = tfdpm.model_.sampler
    scorer = SampleScore("energy", 20)
    made = tfdpm.replace(scorer=scorer)
    vars(made).update({k: v for k, v in vars(tfdpm).items() if k.endswith("_")})
    run = made.standardised(read_runs(normal)[0])[0]
    piece = slice(0, 300 + made.memory)
    full = made.errors(run.values[piece], run.observed[piece]).mean()
    found = made.learn_steps(normal, most=10, batches=400, grid=5)
    assert isinstance(found, GivenSteps) and 2 <= len(found.levels) <= 10
    few = made.errors(run.values[piece], run.observed[piece]).mean()
    made.model_.use_sampler(before)
    assert few < 1.05 * full, (few, full)


def test_an_energy_sees_it_too():
    """By its value and by its gradient."""
    estimator = TFDPMEstimator(
        1, window=4, patterns=PATTERNS, network=Dense(2, 64, energy=True), max_epochs=6, **QUICK
    )
    made = TFDPMDetector(estimator=estimator, readout=Readout(smooth=6), scorer=Energy()).fit(
        coupled(4000, 0)
    )
    inside = np.arange(600, 900)
    log = coupled(1200, 1, inside)
    assert ratio(made.decision_function(log), inside) > 0.9
    by_gradient = made.replace(scorer=DenoisingError())
    vars(by_gradient).update({k: v for k, v in vars(made).items() if k.endswith("_")})
    assert ratio(by_gradient.decision_function(log), inside) > 0.9


def test_energy_of_a_known_law():
    """x is N(0, 1) and stays so under noise: E / sigma is x^2 / 2 but for a constant."""
    with seeded(0):
        model = EnergyDDPM(
            (1,), (1,), schedule=CosineSchedule(), target="eps", continuous=True,
            network=functools.partial(EnergyDenoiser, layers=2, hidden=64),
        )  # fmt: skip
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
        for _ in range(1500):
            optimizer.zero_grad()
            model.loss(torch.randn(256, 1), torch.zeros(256, 1)).mean().backward()
            optimizer.step()
            decay.step()
    x, scorer = torch.linspace(-2, 2, 41)[:, None], Energy(levels=(0.5, 1.0))
    with torch.no_grad():
        found = scorer.errors(model, x, torch.zeros(41, 1), torch.ones(41, 1))[:, 0]
    alpha_squared = torch.tensor([1 / (1 + r**2) for r in scorer.levels])
    expected = alpha_squared.mean() * x[:, 0] ** 2 / 2
    assert (found - found[20] - expected).abs().max() < 0.12


def test_var_sees_it_in_part():
    """A linear model of a row from the row before: the pairs' joint noise is beyond it."""
    inside = np.arange(600, 900)
    made = VARDetector(readout=Readout("mean", smooth=6)).fit(coupled(4000, 0))
    assert ratio(made.decision_function(coupled(1200, 1, inside)), inside) < 0.65


def test_only_its_own_estimator():
    with pytest.raises(ValueError, match="must be a TFDPMEstimator"):
        TFDPMDetector(estimator=GaussianEstimator(1))


# --- what the parts of the model are for --------------------------------------------------------


def network(rows, seed, broken=()):
    """Twenty channels in a ring, each driven by the next one's last row, (rows, 20).

    In the rows ``broken`` each is driven by that channel of an independent copy: its own law, alone
    and along time, stays what it was.
    """
    random = np.random.default_rng(seed)
    noise = 0.15 * random.normal(size=(rows, 2, 20))
    x, apart = np.zeros((rows, 2, 20)), np.isin(np.arange(rows), broken)
    order = np.random.default_rng(99).permutation(20)
    driver = np.roll(order, 1)[np.argsort(order)]
    for t in range(1, rows):
        source = x[t - 1][:, driver]
        if apart[t]:
            source = source[[1, 1]]
        x[t] = 0.4 * x[t - 1] + 0.5 * source + noise[t]
    return pd.DataFrame(x[:, 0])


BROKEN = np.concatenate([np.arange(first, first + 60) for first in range(200, 3000, 400)])


def found_in_network(make, seed):
    labels = np.isin(np.arange(3000), BROKEN).astype(int)
    made = make(seed).fit(network(4000, seed))
    return metrics.auc_pr(labels, made.decision_function(network(3000, 1000 + seed, BROKEN)))


@pytest.mark.slow
def test_graph_and_temporal_pattern_are_needed():
    """AUC-PR falls without either, by a paired t-test over five seeds; AR(1) sees nothing."""

    def variant(**options):
        patterns = PATTERNS.replace(neighbours=3, **options)
        sizes = {"window": 4, "patterns": patterns, "network": Dense(2, 64)}
        estimator = TFDPMEstimator(1, max_epochs=20, **QUICK, **sizes)
        return lambda seed: TFDPMDetector(estimator=estimator, seed=seed)

    made = {"whole": {}, "no graph": {"graph": False}, "no temporal": {"temporal": "none"}}
    found = {
        name: np.array([found_in_network(variant(**options), seed) for seed in range(5)])
        for name, options in made.items()
    }
    print({name: values.round(3).tolist() for name, values in found.items()})
    for name in ("no graph", "no temporal"):
        test = ttest_rel(found["whole"], found[name], alternative="greater")
        print(name, (found["whole"] - found[name]).mean().round(3), test.pvalue.round(4))
        assert test.pvalue < 0.05
    alone = found_in_network(lambda seed: AR1Detector(readout=Readout("mean", smooth=8)), 0)
    assert alone < 1.5 * len(BROKEN) / 3000 < found["whole"].min()
