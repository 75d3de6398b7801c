"""Encoders that use all of the contract: times and queries, a penalty, hindsight."""

import torch

from tsgen.encoders import Encoded, HistoryEncoder


class Relaxing(HistoryEncoder):
    """Jumps at inputs to a state that fades at learnt rates until the time it is asked for."""

    penalised = False

    def __init__(self, input_size: int, output_size: int = 6) -> None:
        super().__init__(input_size)
        self.output_size = output_size
        self.jump = torch.nn.Linear(input_size, output_size)
        self.rate = torch.nn.Parameter(torch.zeros(output_size))

    def initial_state(self, batch_size):
        return self.rate.new_zeros(batch_size, self.output_size), self.rate.new_zeros(batch_size)

    def forward(self, inputs, state=None, times=None, observed=None, query=None):
        inputs = inputs if observed is None else torch.where(observed > 0, inputs, 0.0)
        (h, last), outputs, speed = state or self.initial_state(len(inputs)), [], 0.0
        steps = torch.arange(1.0, inputs.shape[1] + 1, dtype=inputs.dtype, device=inputs.device)
        times = last[:, None] + steps if times is None else times
        query = times if query is None else query
        rate = self.rate.exp()
        for x, t, asked in zip(inputs.unbind(1), times.unbind(1), query.unbind(1), strict=True):
            change = self.jump(x)
            h = h * torch.exp(-rate * (t - last).clamp_min(0)[:, None]) + change
            speed, last = speed + change.square().mean(1), t
            outputs.append(h * torch.exp(-rate * (asked - t)[:, None]))
        penalty = 10 * speed / inputs.shape[1] if self.penalised else None
        return Encoded(torch.stack(outputs, 1), (h, last), penalty)


class Penalised(Relaxing):
    """Its jumps should be small."""

    penalised = True


class Whole(HistoryEncoder):
    """Every output sees all inputs."""

    causal = False

    def __init__(self, input_size: int, output_size: int = 6) -> None:
        super().__init__(input_size)
        self.output_size = output_size
        self.map = torch.nn.Linear(2 * input_size, output_size)

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, 1)

    def forward(self, inputs, state=None, times=None, observed=None, query=None):
        inputs = inputs if observed is None else torch.where(observed > 0, inputs, 0.0)
        mean = inputs.mean(1, keepdim=True).expand_as(inputs)
        outputs = self.map(torch.cat([inputs, mean], -1)).tanh()
        return Encoded(outputs, self.initial_state(len(inputs)))
