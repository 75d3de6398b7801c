"""Attention over the graph of channels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GraphAttention(nn.Module):
    r"""Each channel attends to itself and to its neighbours in a directed graph.

    Graph deviation network (Deng, Hooi 2021, arXiv 2106.06947, eq 3 to 8). With features
    :math:`h_i` of the channels, their learnt embeddings :math:`v_i` and
    :math:`g_i = [v_i, W h_i]`,

    .. math:: h_i' = \mathrm{ReLU}\Big(\sum_{j \in N(i) \cup \{i\}} a_{ij} W h_j\Big), \quad
              a_{ij} = \mathrm{softmax}_j\,\mathrm{LeakyReLU}(b^T [g_i, g_j]).

    The neighbours are given, or the ``neighbours`` channels whose embeddings have the largest
    cosine with :math:`v_i`.

    Args:
        channels: C.
        features: size of a channel's features.
        neighbours: of each channel, at most C - 1.
        adjacency: C rows of C flags, where row i tells whom channel i attends to; ``None`` learns.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        neighbours: int = 15,
        adjacency: tuple[tuple[bool, ...], ...] | None = None,
    ) -> None:
        super().__init__()
        self.neighbours = min(neighbours, channels - 1)
        self.embedding = nn.Parameter(torch.randn(channels, features))
        self.lift = nn.Linear(features, features, bias=False)
        self.attention = nn.Parameter(torch.randn(2, 2 * features) * (2 * features) ** -0.5)
        given = torch.zeros(0) if adjacency is None else torch.tensor(adjacency).bool()
        if adjacency is not None and given.shape != (channels, channels):
            raise ValueError(
                f"GraphAttention: adjacency has shape {tuple(given.shape)}; expected "
                f"({channels}, {channels})"
            )
        self.register_buffer("given", given, persistent=False)
        self.given: Tensor

    def graph(self) -> Tensor:
        """Whom each channel attends to, (C, C), itself included."""
        size = len(self.embedding)
        own = torch.eye(size, dtype=torch.bool, device=self.embedding.device)
        if len(self.given):
            return self.given | own
        unit = F.normalize(self.embedding.detach(), dim=1)
        likeness = (unit @ unit.T).masked_fill(own, -2.0)
        nearest = likeness.topk(self.neighbours, 1).indices
        return own.scatter(1, nearest, True)

    def forward(self, h: Tensor) -> Tensor:
        """(N, C, features) to the same shape."""
        lifted = self.lift(h)
        joined = torch.cat([self.embedding.expand(len(h), -1, -1), lifted], -1)
        target, source = (joined @ self.attention.T).unbind(-1)
        logits = F.leaky_relu(target[:, :, None] + source[:, None, :], 0.2)
        weights = logits.masked_fill(~self.graph(), -torch.inf).softmax(-1)
        return F.relu(weights @ lifted)
