"""The contract of encoders."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as pytree

from tsgen.core import seeded
from tsgen.encoders import HistoryEncoder
from tsgen.testing.common import reload


def check_encoder(encoder_class: Callable[..., HistoryEncoder], **options: Any) -> None:
    """Check the contract of :class:`~tsgen.encoders.HistoryEncoder`.

    Raises:
        AssertionError: naming what is violated.
    """
    with seeded(0):
        encoder = encoder_class(5, **options)
        name = type(encoder).__name__
        encoder.train()
        inputs, times = torch.randn(3, 8, 5), torch.arange(8.0).expand(3, 8)
        encoder(inputs, times=times)[0].sum().backward()
        for key, parameter in encoder.named_parameters():
            assert parameter.grad is not None and (parameter.grad != 0).any(), (
                f"{name}: no gradient reaches {key}"
            )
        own = {id(p) for p in encoder.parameters()}
        assert all(w.dim() == 2 and id(w) in own for w in encoder.input_weights()), (
            f"{name}: input_weights() has what is no matrix of its own"
        )
        encoder.eval()
        with torch.no_grad():
            outputs, state = encoder(inputs, times=times)
            assert outputs.shape == (3, 8, encoder.output_size), (
                f"{name}: output shape {tuple(outputs.shape)}"
            )
            for leaf in pytree.tree_leaves(state):
                assert len(leaf) == 3, f"{name}: the state is not batch first"
            later = inputs.clone()
            later[:, 5:] += 1
            changed = encoder(later, times=times)[0]
            assert torch.equal(changed[:, :5], outputs[:, :5]), (
                f"{name}: an output depends on later inputs"
            )
            assert not torch.equal(changed[:, 5:], outputs[:, 5:]), f"{name}: inputs do not matter"
            running = encoder.initial_state(3)
            for t in range(8):
                one, running = encoder.step(inputs[:, t], running, times[:, t])
                assert torch.allclose(one, outputs[:, t], atol=1e-5), (
                    f"{name}: step {t} differs from forward"
                )
            first, middle = encoder(inputs[:, :4], times=times[:, :4])
            second, _ = encoder(inputs[:, 4:], middle, times=times[:, 4:])
            assert torch.allclose(torch.cat([first, second], 1), outputs, atol=1e-5), (
                f"{name}: does not resume"
            )
            observed = (torch.rand_like(inputs) > 0.3).float()
            spoilt = torch.where(observed > 0, inputs, torch.full_like(inputs, 1e3))
            one, two = (encoder(v, times=times, observed=observed)[0] for v in (inputs, spoilt))
            assert torch.equal(one, two), f"{name}: an unobserved value matters"
            again = reload(encoder)
            assert torch.equal(again(inputs, times=times)[0], outputs), (
                f"{name}: JSON and weights do not restore it"
            )
