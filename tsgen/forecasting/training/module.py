"""The one LightningModule: one or several players, moving average, checks that stop."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tsgen.core import seeded
from tsgen.core.seeding import give_way
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.forecasting.training.options import Training
from tsgen.nets.optimise import descend


class ForecastModule(pl.LightningModule):
    r"""Trains a forecaster.

    Optimisation is manual, so that one path serves one player and several: each player has an Adam
    of its own and takes its step in turn on every batch. Gradients are clipped here. The moving
    average of the weights is part of the module (a callback's average would be lost in GluonTS'
    checkpoints), and is what evaluates and, in the end, predicts.

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
        self.forecaster, self.recipe, self.lr = forecaster, recipe, lr
        self.validation_seed = validation_seed
        self._frozen = tuple(frozen)
        self.average: AveragedModel | None = None
        if recipe.ema_decay is not None:
            average = get_ema_multi_avg_fn(recipe.ema_decay)
            self.average = AveragedModel(forecaster, multi_avg_fn=average)
            self.average.requires_grad_(False)
        self.automatic_optimization = False
        self._random_state: dict[str, Any] | None = None

    @property
    def best_forecaster(self) -> Forecaster:
        """The averaged network if there is one, else the trained one."""
        return self.forecaster if self.average is None else cast(Forecaster, self.average.module)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[LRScheduler]]:
        """An Adam and, for one-cycle, a schedule per player."""
        fused = True if self.device.type in ("cpu", "cuda") else None  # one call for all weights
        optimisers = [
            torch.optim.Adam(
                self._by_rate(parameters),
                lr=self.lr,
                weight_decay=self.recipe.weight_decay,
                fused=fused,
            )
            for parameters in self._player_parameters()
        ]
        if self.recipe.lr_schedule == "constant":
            return optimisers, []  # type: ignore[return-value]
        total = int(self.trainer.estimated_stepping_batches)
        schedules = [
            OneCycleLR(o, max_lr=[group["lr"] for group in o.param_groups], total_steps=total)
            for o in optimisers
        ]
        return optimisers, schedules  # type: ignore[return-value]

    def _by_rate(self, parameters: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
        """Parameters as Adam's groups: those of the full learning rate, then the slower ones."""
        factors: dict[int, float] = {}
        lr_inputs = self.recipe.lr_inputs
        if lr_inputs is not None:
            for weight in self.forecaster.encoder.input_weights():
                factors[id(weight)] = min(1.0, lr_inputs / weight.shape[1])
        groups: dict[float, list[torch.nn.Parameter]] = {1.0: []}
        for parameter in parameters:
            groups.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
        return [{"params": p, "lr": self.lr * factor} for factor, p in groups.items() if p]

    def _player_parameters(self) -> list[list[torch.nn.Parameter]]:
        """Each player's parameters.

        With one player that is everything. With several, the last one, which the samples come from,
        trains encoder and embeddings, too.
        """
        model = self.forecaster.model
        if len(model.players) == 1:
            return [_learning(self.forecaster.parameters())]
        own = {id(p) for p in model.parameters()}
        shared = [p for p in self.forecaster.parameters() if id(p) not in own]
        groups = [list(model.player_parameters(player)) for player in model.players]
        groups[-1] += shared
        return [_learning(group) for group in groups]

    def on_train_batch_start(self, *args: Any) -> None:
        """Let other threads forecast, or train a batch of theirs."""
        give_way()

    def training_step(self, batch: Window, batch_idx: int) -> None:
        """One step of every player."""
        optimisers, schedules = self.optimizers(), self.lr_schedulers() or []
        optimisers = optimisers if isinstance(optimisers, list) else [optimisers]
        schedules = schedules if isinstance(schedules, list) else [schedules]
        total = torch.zeros((), device=self.device)
        several = len(optimisers) > 1
        for number, (player, optimiser) in enumerate(
            zip(self.forecaster.model.players, optimisers, strict=True)
        ):
            if several:
                self.toggle_optimizer(optimiser)
            loss = self.forecaster.loss(batch, player if several else None)
            descend(
                loss,
                cast(torch.optim.Optimizer, optimiser),
                cast(LRScheduler, schedules[number]) if schedules else None,
                self.recipe.gradient_clip,
                backward=self.manual_backward,
                check=functools.partial(self._check, player, loss.detach(), batch),
            )
            if several:
                self.untoggle_optimizer(optimiser)
            total = total + loss.detach()
        if self.average is not None:
            self.average.update_parameters(self.forecaster)
        self.log("train_loss", total, on_epoch=True, on_step=False, batch_size=len(batch.center))

    @property
    def _batches_done(self) -> int:
        return self.trainer.fit_loop.total_batch_idx

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
        """Loss of what predicts, with the same times and noise every epoch."""
        with seeded(self.validation_seed, batch_idx):
            loss = self.best_forecaster.loss(batch)
        self.log("val_loss", loss, on_epoch=True, on_step=False, batch_size=len(batch.center))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random generators' states, so that a resumed run goes on as it would have."""
        checkpoint["random_state"] = {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember it until training starts."""
        self._random_state = checkpoint.get("random_state")

    def on_train_epoch_start(self) -> None:
        """Put a loaded random state back, once, and let frozen parts be in evaluation mode."""
        for part in self._frozen:
            part.eval()
        if self._random_state is not None:
            torch.set_rng_state(self._random_state["cpu"].cpu())
            if len(self._random_state["cuda"]) == torch.cuda.device_count() > 0:
                torch.cuda.set_rng_state_all([s.cpu() for s in self._random_state["cuda"]])
            self._random_state = None


def _learning(parameters: Iterable[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    """Those that are not frozen."""
    return [p for p in parameters if p.requires_grad]
