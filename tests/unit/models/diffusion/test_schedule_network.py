import functools
import math

import pytest
import torch

from tsgen.core import seeded
from tsgen.diffusion import DDIM, Ancestral, CosineSchedule, GivenSteps
from tsgen.models import DDPM, ScheduleNetwork, search_steps
from tsgen.nets import DenseDenoiser


def model(**options):
    network = functools.partial(DenseDenoiser, hidden=32, layers=1)
    options = {"schedule": CosineSchedule(60), "continuous": True, **options}
    with seeded(0):
        return DDPM((2,), (1,), target="v", network=network, **options)


@functools.cache
def trained():
    """Knows x = cond +- 1 in both elements, with a little noise."""
    made = model()
    optimiser = torch.optim.Adam(made.parameters(), 3e-3)
    with seeded(1):
        for _ in range(600):
            x, cond = draw(128)
            loss = made.loss(x, cond).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        network = ScheduleNetwork(made)
        losses = network.learn(made, (draw(256) for _ in range(1000)))
    return made.eval(), network, losses


def draw(rows):
    cond = torch.randn(rows, 1)
    sign = torch.randint(2, (rows, 1)) * 2.0 - 1
    return cond + sign + 0.1 * torch.randn(rows, 2), cond


def energy(samples, x):
    """Energy score of (S, B, C), mean over rows."""
    spread = torch.cdist(samples.transpose(0, 1), samples.transpose(0, 1)).mean()
    return float((samples - x).norm(dim=2).mean() - spread / 2)


def test_loss_is_its_definition():
    made, (x, cond) = model(), draw(4)
    with seeded(2):
        network = ScheduleNetwork(made, stride=20)
    with seeded(3):
        result = network.loss(made, x, cond)
    with seeded(3):
        n = torch.randint(1, 40, (4,)).double()
        z = torch.randn_like(x)
    for i in range(4):
        a, later = (float(made.schedule.alpha((n[i] + k) / 60)) for k in (0, 20))
        delta2 = 1 - a * a
        noised = a * x[i] + math.sqrt(delta2) * z[i]
        x0 = made.denoiser(cond[i : i + 1])(noised[None], float(n[i] / 60))[0]
        eps = (noised - a * x0) / math.sqrt(delta2)
        beta = min(delta2, 1 - (later / a) ** 2) * float(network(noised[None], cond[i : i + 1]))
        gap = math.sqrt(delta2) * z[i] - beta / math.sqrt(delta2) * eps
        expected = (
            float((gap**2).mean()) / (2 * (delta2 - beta))
            + math.log(delta2 / beta) / 4
            + (beta / delta2 - 1) / 2
        )
        assert float(result[i]) == pytest.approx(expected, rel=1e-3)


def test_learns_and_leaves_the_model_alone():
    made, _, losses = trained()
    assert sum(losses[-50:]) / 50 < sum(losses[:10]) / 10 - 0.05
    before = {k: v.clone() for k, v in made.state_dict().items()}
    with seeded(0):
        ScheduleNetwork(made).learn(made, [draw(16)])
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())


def test_found_steps_are_few_and_as_good():
    """A third of the evaluations: not worse than the whole chain, nor than DDIM of as many."""
    made, network, _ = trained()
    with seeded(4):
        x, cond = draw(300)
        held_x, held = draw(300)

    def quality(sampler, x=x, cond=cond, seed=5):
        made.use_sampler(sampler)
        with torch.no_grad(), seeded(seed):
            return energy(made.sample(cond, (40,)), x)

    found = search_steps(made, network, cond[:64], 20, quality)
    assert isinstance(found, GivenSteps)
    assert 2 <= len(found.levels) <= 20
    count = len(found.levels)
    results = {
        name: sum(quality(s, held_x, held, seed) for seed in range(3)) / 3
        for name, s in (("found", found), ("chain", Ancestral()), ("ddim", DDIM(count)))
    }
    made.use_sampler(Ancestral())
    assert results["found"] < 1.03 * results["chain"], results
    assert results["found"] < 1.03 * results["ddim"], results


def test_a_model_that_knows_its_own_steps_only_is_refused():
    with pytest.raises(ValueError, match=r"continuous=False"):
        ScheduleNetwork(model(continuous=False))


def test_a_stride_beyond_the_chain_is_refused():
    with pytest.raises(
        ValueError, match=r"stride=59 must be in \[1, 58\]; the schedule has 60 steps"
    ):
        ScheduleNetwork(model(), stride=59)


def test_too_few_steps_are_an_error():
    made, network, _ = trained()
    with pytest.raises(ValueError, match="no schedule of at most 0 steps"):
        search_steps(made, network, torch.zeros(4, 1), 0, lambda s: 0.0, grid=2)
