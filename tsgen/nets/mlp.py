"""Multilayer perceptron."""

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with SiLU between them, applied to the last dimension.

    Args:
        input_size: size of the last dimension of the input.
        output_size: size of the last dimension of the output.
        hidden: sizes of the layers in between; empty for a single linear map.
    """

    def __init__(self, input_size: int, output_size: int, hidden: tuple[int, ...] = ()) -> None:
        super().__init__()
        sizes = (input_size, *hidden, output_size)
        layers: list[nn.Module] = []
        for first, second in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(first, second), nn.SiLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        r"""(\*, input_size) -> (\*, output_size)."""
        return self.layers(x)
