"""The one LightningModule: one or several players, moving average, checks that stop."""

from typing import Any, Literal, cast

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tsgen.core import Component, seeded
from tsgen.core.seeding import give_way
from tsgen.forecasting.data.window import Window
from tsgen.forecasting.network.forecaster import Forecaster
from tsgen.models import Player


class ForecastModule(Component, pl.LightningModule):
    r"""Trains a forecaster.

    Optimisation is manual, so that one path serves one player and several: each player has an Adam
    of its own and takes its step in turn. Gradients are clipped here. The moving
    average of the weights is part of the module (a callback's average would be lost in GluonTS'
    checkpoints), and is what evaluates and, in the end, predicts.

    Args:
        forecaster: what is trained.
        lr: learning rate; the peak of the one-cycle schedule.
        lr_schedule: "onecycle" (Smith, Topin 2019) over the whole training, or "constant".
        lr_inputs: weights by which the encoder sees N > lr_inputs inputs learn at
            lr * lr_inputs / N; ``None``: at lr. A step of Adam moves each weight by about
            :math:`\eta`, hence a unit by up to :math:`\eta \sum_i |x_i|`; steps that do not grow
            with the inputs need :math:`\eta \propto 1 / N` (Yang, Hu et al. 2021, arXiv 2203.03466,
            for the weights between wide layers).
        weight_decay: Adam's L2 penalty.
        gradient_clip: largest norm of a player's gradient; ``None`` does not clip.
        ema_decay: decay of the moving average per batch; ``None`` keeps none.
        validation_seed: seed of times and noise in validation, the same every epoch.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        lr: float = 1e-2,
        lr_schedule: Literal["onecycle", "constant"] = "onecycle",
        lr_inputs: int | None = None,
        weight_decay: float = 1e-6,
        gradient_clip: float | None = 10.0,
        ema_decay: float | None = None,
        validation_seed: int = 0,
    ) -> None:
        super().__init__()
        self.forecaster = forecaster
        self.lr, self.lr_schedule, self.weight_decay = lr, lr_schedule, weight_decay
        self.lr_inputs = lr_inputs
        self.gradient_clip, self.validation_seed = gradient_clip, validation_seed
        self.average: AveragedModel | None = None
        if ema_decay is not None:
            if not 0 < ema_decay < 1:
                raise ValueError(f"ema_decay={ema_decay} must lie in (0, 1)")
            self.average = AveragedModel(forecaster, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
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
                self._by_rate(player), lr=self.lr * player.lr, betas=player.betas,
                weight_decay=self.weight_decay, fused=fused,
            )
            for player in self.forecaster.model.players
        ]  # fmt: skip
        if self.lr_schedule == "constant":
            return optimisers, []  # type: ignore[return-value]
        batches = int(self.trainer.estimated_stepping_batches)
        schedules = [
            OneCycleLR(
                optimiser,
                max_lr=[group["lr"] for group in optimiser.param_groups],
                total_steps=-(-batches // player.every),
            )
            for optimiser, player in zip(optimisers, self.forecaster.model.players, strict=True)
        ]
        return optimisers, schedules  # type: ignore[return-value]

    def _by_rate(self, player: Player) -> list[dict[str, Any]]:
        """A player's parameters as Adam's groups: of the full learning rate, then slower ones."""
        factors: dict[int, float] = {}
        if self.lr_inputs is not None:
            for weight in self.forecaster.encoder.input_weights():
                factors[id(weight)] = min(1.0, self.lr_inputs / weight.shape[1])
        groups: dict[float, list[torch.nn.Parameter]] = {1.0: []}
        for parameter in self.player_parameters(player):
            groups.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
        rate = self.lr * player.lr
        return [{"params": p, "lr": rate * factor} for factor, p in groups.items() if p]

    def player_parameters(self, player: Player) -> list[torch.nn.Parameter]:
        """What a player moves: everything if it is alone.

        One of several moves its parts of the model and, if it says so, encoder and embeddings.
        """
        model = self.forecaster.model
        if len(model.players) == 1:
            return list(self.forecaster.parameters())
        own = {id(p) for p in model.parameters()}
        shared = [p for p in self.forecaster.parameters() if id(p) not in own]
        return model.player_parameters(player) + (shared if player.encoder else [])

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
        several, batches = len(optimisers) > 1, self._batches_done
        for number, (player, optimiser) in enumerate(zip(model.players, optimisers, strict=True)):
            if batches % player.every:
                continue
            if several:
                self.toggle_optimizer(optimiser)
            loss = self.forecaster.loss(batch, player.name if several else None)
            optimiser.zero_grad()
            self.manual_backward(loss)
            parameters = [p for group in optimiser.param_groups for p in group["params"]]
            limit = float("inf") if self.gradient_clip is None else self.gradient_clip
            norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
            if self._is_check_due() and not torch.isfinite(loss.detach() + norm):
                self._stop(player.name, loss.detach(), norm, batch)
            optimiser.step()
            if several:
                self.untoggle_optimizer(optimiser)
            if number < len(schedules):
                schedules[number].step()  # type: ignore[call-arg]
            model.after_step(player.name, (batches + 1) / self._batches_planned)
            total = total + loss.detach()
        if self.average is not None:
            self.average.update_parameters(self.forecaster)
        self.log("train_loss", total, on_epoch=True, on_step=False, batch_size=len(batch.center))

    @property
    def _batches_done(self) -> int:
        return self.trainer.fit_loop.total_batch_idx

    @property
    def _batches_planned(self) -> int:
        return max(1, int(self.trainer.estimated_stepping_batches))

    def _is_check_due(self) -> bool:
        """Always on a CPU; on an accelerator now and then, for looking at a value waits for it."""
        return self.device.type == "cpu" or self._batches_done % 20 == 0

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
        """Put a loaded random state back, once."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state["cpu"].cpu())
            if len(self._random_state["cuda"]) == torch.cuda.device_count() > 0:
                torch.cuda.set_rng_state_all([s.cpu() for s in self._random_state["cuda"]])
            self._random_state = None
