"""Flows that are not where training starts."""

import torch

from tsgen.core import seeded


def shaken(flow, event, cond, size=0.1, **options):
    """A flow away from its start, in double precision."""
    with seeded(0):
        model = flow(event, cond, **options).double().eval()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(size * torch.randn_like(p))
    return model
