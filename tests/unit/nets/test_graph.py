import pytest
import torch
from torch.nn import functional as F

from tsgen.core import seeded
from tsgen.nets import GraphAttention


def layer(**options):
    with seeded(0):
        return GraphAttention(5, 3, **options).double()


def features(rows=2):
    with seeded(1):
        return torch.randn(rows, 5, 3, dtype=torch.float64)


@pytest.mark.parametrize(
    "options", [{"neighbours": 2}, {"adjacency": ((True, False) * 2 + (True,),) * 5}]
)
def test_equals_its_definition(options):
    """Channel by channel, as in GDN, eq 5 to 8."""
    net, h = layer(**options), features()
    graph, result = net.graph(), net(h)
    for n in range(len(h)):
        for i in range(5):
            near = [j for j in range(5) if graph[i, j]]
            g = {j: torch.cat([net.embedding[j], net.lift.weight @ h[n, j]]) for j in {*near, i}}
            logits = torch.stack(
                [F.leaky_relu(net.attention[0] @ g[i] + net.attention[1] @ g[j], 0.2) for j in near]
            )
            mixed = sum(
                a * (net.lift.weight @ h[n, j])
                for a, j in zip(logits.softmax(0), near, strict=True)
            )
            torch.testing.assert_close(result[n, i], F.relu(mixed))


def test_neighbours_are_the_nearest_embeddings():
    net = layer(neighbours=2)
    likeness = F.cosine_similarity(net.embedding[:, None], net.embedding[None], dim=2)
    for i, row in enumerate(net.graph()):
        others = sorted((j for j in range(5) if j != i), key=lambda j: -likeness[i, j])
        assert set(torch.nonzero(row).flatten().tolist()) == {i, *others[:2]}


def test_who_is_no_neighbour_does_not_matter():
    net, h = layer(neighbours=2), features(1)
    graph = net.graph()
    i, j = next((i, j) for i in range(5) for j in range(5) if not graph[i, j])
    changed = h.clone()
    changed[0, j] += 10
    assert torch.equal(net(changed)[0, i], net(h)[0, i])


def test_a_single_channel_attends_to_itself():
    net = GraphAttention(1, 3)
    assert net.graph().tolist() == [[True]]


def test_a_graph_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"adjacency has shape \(2, 2\); expected \(5, 5\)"):
        layer(adjacency=((True, False), (False, True)))
