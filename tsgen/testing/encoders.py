"""The contract of encoders."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from tsgen.core import seeded
from tsgen.encoders import HistoryEncoder
from tsgen.testing.common import check_raises, reload


def check_encoder(encoder_class: Callable[..., HistoryEncoder], **options: Any) -> None:
    """Check the contract of :class:`~tsgen.encoders.HistoryEncoder`.

    An encoder that is not causal must say so and refuse steps; any other must give the same
    outputs in one pass, in two, and step by step.

    Raises:
        AssertionError: naming what is violated.
    """
    with seeded(0):
        encoder = encoder_class(5, **options)
        name = type(encoder).__name__
        inputs = torch.randn(3, 8, 5)
        times = torch.rand(3, 9).add_(0.1).cumsum(1)
        times, query = times[:, :-1], times[:, 1:]
        _check_gradients(encoder, inputs, times, query)
        own = {id(p) for p in encoder.parameters()}
        assert all(w.dim() == 2 and id(w) in own for w in encoder.input_weights()), (
            f"{name}: input_weights() has what is no matrix of its own"
        )
        encoder.eval()
        with torch.no_grad():
            encoded = encoder(inputs, times=times, query=query)
            outputs = encoded.outputs
            assert outputs.shape == (3, 8, encoder.output_size), (
                f"{name}: output shape {tuple(outputs.shape)}"
            )
            assert encoded.penalty is None or encoded.penalty.shape == (3,), (
                f"{name}: penalty is not one number for each row"
            )
            for leaf in pytree.tree_leaves(encoded.state):
                assert len(leaf) == 3, f"{name}: the state is not batch first"
            plain = encoder(inputs).outputs
            assert plain.isfinite().all(), f"{name}: cannot do without times"
            changed = encoder(inputs.flip(0), times=times, query=query).outputs
            assert not torch.equal(changed, outputs), f"{name}: inputs do not matter"
            if encoder.causal:
                _check_causal(encoder, inputs, times, query)
                _check_resumes(encoder, inputs, times, query)
            else:
                check_raises(
                    NotImplementedError,
                    lambda: encoder.step(inputs[:, 0], encoder.initial_state(3)),
                    f"{name}.step, of an encoder that is not causal",
                )
            observed = (torch.rand_like(inputs) > 0.3).float()
            spoilt = torch.where(observed > 0, inputs, torch.full_like(inputs, 1e3))
            one, two = (
                encoder(v, times=times, observed=observed, query=query).outputs
                for v in (inputs, spoilt)
            )
            assert torch.equal(one, two), f"{name}: an unobserved value matters"
            again = reload(encoder)(inputs, times=times, query=query).outputs
            assert torch.equal(again, outputs), f"{name}: JSON and weights do not restore it"


def _check_gradients(encoder: HistoryEncoder, inputs: Tensor, times: Tensor, query: Tensor) -> None:
    encoded = encoder.train()(inputs, times=times, query=query)
    total = encoded.outputs.sum() + (0 if encoded.penalty is None else encoded.penalty.sum())
    total.backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), (
            f"{type(encoder).__name__}: no gradient reaches {key}"
        )


def _check_causal(encoder: HistoryEncoder, inputs: Tensor, times: Tensor, query: Tensor) -> None:
    name, outputs = type(encoder).__name__, encoder(inputs, times=times, query=query).outputs
    later, late, asked = inputs.clone(), times.clone(), query.clone()
    later[:, 5:] += 1
    late[:, 5:], asked[:, 5:] = late[:, 5:] + 1, asked[:, 5:] + 1
    changed = encoder(later, times=times, query=query).outputs
    assert torch.equal(changed[:, :5], outputs[:, :5]), f"{name}: an output depends on later inputs"
    assert not torch.equal(changed[:, 5:], outputs[:, 5:]), f"{name}: inputs do not matter"
    changed = encoder(inputs, times=late, query=asked).outputs
    assert torch.equal(changed[:, :5], outputs[:, :5]), f"{name}: an output depends on later times"


def _check_resumes(encoder: HistoryEncoder, inputs: Tensor, times: Tensor, query: Tensor) -> None:
    name, outputs = type(encoder).__name__, encoder(inputs, times=times, query=query).outputs
    state = encoder.initial_state(3)
    for t in range(8):
        one = encoder.step(inputs[:, t], state, times[:, t], query=query[:, t])
        assert torch.allclose(one.outputs, outputs[:, t], atol=1e-5), (
            f"{name}: step {t} differs from forward"
        )
        state = one.state
    early = encoder(inputs[:, :4], times=times[:, :4], query=query[:, :4])
    late = encoder(inputs[:, 4:], early.state, times[:, 4:], query=query[:, 4:])
    assert torch.allclose(torch.cat([early.outputs, late.outputs], 1), outputs, atol=1e-5), (
        f"{name}: does not resume"
    )
