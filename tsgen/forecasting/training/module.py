"""The one LightningModule: one or several players, moving average, checks that stop."""

import functools
from collections.abc import Sequence
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tsgen.core import seeded
from tsgen.core.ranks import average_gradients, current_rank, from_every_rank, mean_over_ranks
from tsgen.core.seeding import give_way
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.training.options import Training
from tsgen.models import Player
from tsgen.nets.optimise import descend


class ForecastModule(pl.LightningModule):
    r"""Trains a forecaster.

    Optimisation is manual, so that one path serves one player and several: each player has an Adam
    of its own and takes its step in turn. Gradients are clipped here. The moving average of the
    weights is part of the module (a callback's average would be lost in GluonTS' checkpoints), and
    is what evaluates and, in the end, predicts.

    A step of Adam moves each weight by about :math:`\eta`, hence a unit by up to
    :math:`\eta \sum_i |x_i|`; steps that do not grow with the N inputs need
    :math:`\eta \propto 1 / N` (Yang, Hu et al. 2021, arXiv 2203.03466, for the weights between
    wide layers). That is what ``recipe.lr_inputs`` does.

    Args:
        forecaster: what is trained.
        recipe: how weights move, and what is averaged.
        lr: learning rate; the peak of the one-cycle schedule.
        frozen: modules of the forecaster that do not learn, see
            :func:`~tsgen.forecasting.training.parts.frozen_but`; they stay in evaluation mode.
        validation_seed: seed of times and noise in validation, the same every epoch.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        recipe: Training = Training(),  # noqa: B008
        lr: float = 1e-2,
        frozen: Sequence[torch.nn.Module] = (),
        validation_seed: int = 0,
    ) -> None:
        super().__init__()
        # without an estimator, "family" is the base's numbers
        self.forecaster, self.recipe, self.lr = forecaster, recipe.of_family(), lr
        self.validation_seed = validation_seed
        self._frozen = tuple(frozen)
        self.average: AveragedModel | None = None
        if recipe.ema_decay is not None:
            average = get_ema_multi_avg_fn(recipe.ema_decay)
            self.average = AveragedModel(forecaster, multi_avg_fn=average)
            self.average.requires_grad_(False)
        self.automatic_optimization = False
        self._random_states: list[RandomState] = []
        self._resumes = False
        self._players: list[Player] = []

    @property
    def best_forecaster(self) -> Forecaster:
        """The averaged network if there is one, else the trained one."""
        return self.forecaster if self.average is None else cast(Forecaster, self.average.module)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[LRScheduler]]:
        """An Adam and, for one-cycle, a schedule per player."""
        # of a player whose parts are frozen nothing learns
        self._players = [p for p in self.forecaster.model.players if self.player_parameters(p)]
        fused = True if self.device.type in ("cpu", "cuda") else None  # one call for all weights
        optimisers = [
            torch.optim.Adam(
                self._by_rate(player), lr=self.lr * player.lr, betas=player.betas or (0.9, 0.999),
                weight_decay=cast(float, self.recipe.weight_decay), fused=fused,
            )
            for player in self._players
        ]  # fmt: skip
        if self.recipe.lr_schedule == "constant":
            return optimisers, []  # type: ignore[return-value]
        batches = int(self.trainer.estimated_stepping_batches)
        schedules = [
            OneCycleLR(
                optimiser,
                max_lr=[group["lr"] for group in optimiser.param_groups],
                total_steps=-(-batches // player.every),
                cycle_momentum=player.betas is None,  # it would write over a player's own rate
            )
            for optimiser, player in zip(optimisers, self._players, strict=True)
        ]
        return optimisers, schedules  # type: ignore[return-value]

    def _by_rate(self, player: Player) -> list[dict[str, Any]]:
        """A player's parameters as Adam's groups: of the full learning rate, then slower ones."""
        factors: dict[int, float] = {}
        lr_inputs = cast(int | None, self.recipe.lr_inputs)
        if lr_inputs is not None:
            for weight in self.forecaster.encoder.input_weights():
                factors[id(weight)] = min(1.0, lr_inputs / weight.shape[1])
        groups: dict[float, list[torch.nn.Parameter]] = {1.0: []}
        for parameter in self.player_parameters(player):
            groups.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
        rate = self.lr * player.lr
        return [{"params": p, "lr": rate * factor} for factor, p in groups.items() if p]

    def player_parameters(self, player: Player) -> list[torch.nn.Parameter]:
        """What a player moves of all that is not frozen: everything if it is alone.

        One of several moves its parts of the model and, if it says so, encoder and embeddings.
        """
        model = self.forecaster.model
        if len(model.players) == 1:
            return [p for p in self.forecaster.parameters() if p.requires_grad]
        own = {id(p) for p in model.parameters()}
        shared = [p for p in self.forecaster.parameters() if id(p) not in own]
        moved = model.player_parameters(player) + (shared if player.encoder else [])
        return [p for p in moved if p.requires_grad]

    def on_train_batch_start(self, *args: Any) -> None:
        """Let other threads forecast, or train a batch of theirs."""
        give_way()

    def training_step(self, batch: Window, batch_idx: int) -> None:
        """One step of every player."""
        model = self.forecaster.model
        optimisers, schedules = self.optimizers(), self.lr_schedulers() or []
        optimisers = optimisers if isinstance(optimisers, list) else [optimisers]
        schedules = schedules if isinstance(schedules, list) else [schedules]
        total = torch.zeros((), device=self.device)
        several, batches = len(model.players) > 1, self._batches_done
        turns = zip(self._players, optimisers, strict=True)
        for number, (player, optimiser) in enumerate(turns):
            if batches % player.every:
                continue
            if several:
                self.toggle_optimizer(optimiser)
            loss = self.forecaster.loss(batch, player.name if several else None)
            descend(
                loss,
                cast(torch.optim.Optimizer, optimiser),
                schedules[number] if schedules else None,
                self.recipe.gradient_clip,
                backward=functools.partial(self._gradients, player),
                check=functools.partial(self._check, player.name, loss.detach(), batch),
            )
            if several:
                self.untoggle_optimizer(optimiser)
            model.after_step(player.name, (batches + 1) / self._batches_planned)
            total = total + mean_over_ranks(loss.detach())
        if self.average is not None:
            self.average.update_parameters(self.forecaster)
        self.log("train_loss", total, on_epoch=True, on_step=False, batch_size=len(batch.center))

    def _gradients(self, player: Player, loss: Tensor) -> None:
        """Compute a player's gradients, the mean over the processes that train together."""
        self.manual_backward(loss)
        average_gradients(self.player_parameters(player))

    @property
    def _batches_done(self) -> int:
        return self.trainer.fit_loop.total_batch_idx

    @property
    def _batches_planned(self) -> int:
        return max(1, int(self.trainer.estimated_stepping_batches))

    def _check(self, player: str, loss: Tensor, batch: Window, norm: Tensor) -> None:
        """Raise ``FloatingPointError`` if a loss or its gradient's norm is not finite.

        On an accelerator every 20th batch is checked: to look at a value is to wait for it.
        """
        if self.device.type != "cpu" and self._batches_done % 20:
            return
        if not torch.isfinite(loss + norm):
            self._stop(player, loss, norm, batch)

    def _stop(self, player: str, loss: Tensor, norm: Tensor, batch: Window) -> None:
        """Raise, naming the step and the channel that stands out."""
        with torch.no_grad():
            pairs = self.forecaster.pairs(batch)
            size = torch.where(pairs.observed > 0, pairs.x.abs(), 0.0).nan_to_num(float("inf"))
            per_channel = size.flatten(0, -2).amax(0)
            channel = int(per_channel.argmax())
        broken = [name for name, p in self.forecaster.named_parameters() if not p.isfinite().all()]
        weights = f"; weights already not finite: {', '.join(broken[:3])}" if broken else ""
        raise FloatingPointError(
            f"training stopped: {'loss' if player == 'model' else f'loss of {player!r}'} is "
            f"{loss.item():g} and its gradient's norm {norm.item():g} at step {self._batches_done} "
            f"(epoch {self.current_epoch}). The largest scaled value of the batch is "
            f"{per_channel[channel].item():g}, in channel {channel}{weights}. A lower lr (now "
            f"{self.lr:g}), gradient_clip or another scaling usually helps."
        )

    def on_validation_batch_start(self, *args: Any) -> None:
        """Let other threads forecast, or train a batch of theirs."""
        give_way()

    def validation_step(self, batch: Window, batch_idx: int) -> None:
        """What the model is watched by, with the same times and noise every epoch."""
        with seeded(self.validation_seed, batch_idx):
            loss = self.best_forecaster.monitor(batch)
        loss = mean_over_ranks(loss)
        self.log("val_loss", loss, on_epoch=True, on_step=False, batch_size=len(batch.center))

    def on_train_epoch_end(self) -> None:
        """Gather the random generators' states, for rank 0 will save those of all."""
        self._random_states = from_every_rank(random_state())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random generators' states, so that a resumed run goes on as it would have."""
        own, others = random_state(), self._random_states[1:]
        checkpoint["random_states"] = [own, *others]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember them until training starts."""
        self._random_states = checkpoint.get("random_states", [])
        self._resumes = True

    def on_train_epoch_start(self) -> None:
        """Put a loaded random state back, once, and let frozen parts be in evaluation mode."""
        for part in self._frozen:
            part.eval()
        number = current_rank().number
        if self._resumes and number < len(self._random_states):  # a callback's may lack others'
            restore_random_state(self._random_states[number])
        self._resumes = False


RandomState = dict[str, Any]
"""States of torch's generators of a process, of the CPU and of each GPU."""


def random_state() -> RandomState:
    """The states of torch's generators."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": gpus}


def restore_random_state(state: RandomState) -> None:
    """Put the generators' states back; those of GPUs if there are as many as there were."""
    torch.set_rng_state(state["cpu"].cpu())
    if len(state["cuda"]) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
