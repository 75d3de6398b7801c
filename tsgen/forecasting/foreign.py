"""Names that users of GluonTS and pytorch-ts bring with them, and where moved options are now."""

import inspect
from typing import Any

from tsgen.core import Options

_READ = "leave it out: it is read off the training data"
_CATEGORIES = "leave it out: categories and their embeddings are read off feat_static_cat"
_USED = "leave it out: every covariate of the data is used, and no other"
_ENCODER = "write encoder=partial(GRUEncoder, {}), or of LSTMEncoder (from tsgen.encoders)"
_DISTRIBUTION = (
    "the family is the distribution: GaussianEstimator, StudentTEstimator, TempFlowEstimator, "
    "TimeGradEstimator, ...; support='count' or 'positive' says where the target lives"
)
_SAMPLES = "write num_parallel_samples, or predict(dataset, num_samples=...)"

REPLACED: dict[str, str] = {
    **dict.fromkeys(
        (
            "input_size",
            "target_dim",
            "num_feat_dynamic_real",
            "num_past_feat_dynamic_real",
            "num_feat_static_real",
            "num_feat_static_cat",
            "num_feat_dynamic_cat",
            "num_series",
        ),
        _READ,
    ),
    **dict.fromkeys(("cardinality", "embedding_dimension"), _CATEGORIES),
    "default_scale": "leave it out: scaling= says how the target is scaled",
    **dict.fromkeys(
        (
            "use_feat_dynamic_real",
            "use_feat_dynamic_cat",
            "use_feat_static_real",
            "use_feat_static_cat",
            "use_marginal_transformation",
        ),
        _USED,
    ),
    "num_layers": _ENCODER.format("num_layers=2"),
    "num_cells": _ENCODER.format("hidden_size=40"),
    "hidden_size": _ENCODER.format("hidden_size=40"),
    "dropout_rate": _ENCODER.format("dropout=0.1"),
    "cell_type": "write encoder='gru', 'lstm' or 'transformer'",
    "d_model": "write encoder=partial(TransformerEncoder, d_model=32) (from tsgen.encoders)",
    "trainer": (
        "write the Trainer's arguments as options: max_epochs, lr, batch_size, "
        "num_batches_per_epoch, device; or trainer_kwargs={'max_epochs': ...}"
    ),
    "epochs": "write max_epochs",
    "num_epochs": "write max_epochs",
    "learning_rate": "write lr",
    "maximum_learning_rate": "write lr, the peak of the one-cycle schedule",
    "minimum_learning_rate": "leave it out: training=Training(lr_schedule=...) sets the schedule",
    "clip_gradient": "write training=Training(gradient_clip=...)",
    "train_sampler": "leave it out: windows are drawn evenly from every part of every series",
    "validation_sampler": "leave it out: validation looks at every window of the validation data",
    "pick_incomplete": "write min_history=0 for windows that start a series, 1 for others",
    "imputation_method": "leave it out: missing values are NaN and are masked",
    "dummy_value": "leave it out: missing values are NaN and are masked",
    "num_eval_samples": _SAMPLES,
    "num_eval_samples_per_series": _SAMPLES,
    "num_parallel_samples_per_series": _SAMPLES,
    "distr_output": _DISTRIBUTION,
    "loss": _DISTRIBUTION,
    "loss_type": "TimeGradEstimator has objective=NoisePrediction(loss_type=...)",
    "diff_steps": "TimeGradEstimator has schedule=LinearSchedule(num_steps=100)",
    "beta_end": "TimeGradEstimator has schedule=LinearSchedule(beta_end=0.1)",
    "beta_schedule": "TimeGradEstimator has schedule=LinearSchedule(), QuadraticSchedule(), ...",
    "conditioning_length": "write encoder=partial(GRUEncoder, output_size=100)",
    "flow_type": "write flow=, of TempFlowEstimator",
    "n_blocks": "write flow=partial(MAF, num_blocks=...) (from tsgen.models.flows)",
    "n_hidden": "write flow=partial(MAF, hidden=...) (from tsgen.models.flows)",
    "dequantize": "write dequantisation=, of TempFlowEstimator",
    "residual_hidden": "write network=Residual(channels=...)",
    "lags": "write lags_seq",
    "history_length": "write context_length",
    "nonnegative_pred_samples": "write support='positive'",
}
"""What to write instead of an option of GluonTS' or pytorch-ts' estimators."""


def option_in(place: str, part: type[Options], option: str, value: Any) -> str:
    """Advice to give an option to the object that has it.

    Args:
        place: the estimator's option that takes the object.
        part: the object's class.
        option: its name there.
        value: what was given.
    """
    return f"write {place}={part.__name__}({option}={value!r})"


def moved_option(owner: type[Options], option: str, value: Any) -> str | None:
    """Advice for an option that is one of an object among an owner's options, if it is.

    ``patience=3`` is now ``training=Training(patience=3)``, ``given_rate=.5`` is
    ``given=Given(rate=.5)``.
    """
    for place, default in defaults_of(owner).items():
        if isinstance(default, Options):
            for name in (option, option.removeprefix(f"{place}_")):
                if name in defaults_of(type(default)):
                    return option_in(place, type(default), name, value)
    return None


def defaults_of(owner: type[Options]) -> dict[str, Any]:
    """The options of a class and their defaults."""
    return {
        name: parameter.default for name, parameter in inspect.signature(owner).parameters.items()
    }
