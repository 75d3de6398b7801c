"""Options written as text, for the command line: ``lr=1e-3``, ``encoder=gru(hidden_size=128)``."""

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tsgen.diffusion
from tsgen.diffusion import CLD, LangevinSampler, Sampler, Schedule
from tsgen.encoders import encoders
from tsgen.estimators.denoising import Given, NoisePrediction, ScoreMatching
from tsgen.estimators.tfdpm import Patterns
from tsgen.forecasting.training.options import Training
from tsgen.models.flows import flows
from tsgen.nets import Axial, Dense, Residual

_GROUPS: tuple[Callable, ...] = (
    Training, Residual, Axial, Dense, Given, NoisePrediction, ScoreMatching, Patterns,
)  # fmt: skip
"""Objects that group options of estimators."""

_UNREADABLE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)
"""What Python answers to text that is no literal, however strange."""


def read_options(
    settings: Iterable[str], parts: Mapping[str, Callable] | None = None
) -> dict[str, Any]:
    """Options from texts ``name=value``.

    Args:
        settings: the texts.
        parts: more parts that values may be, see :func:`read_value`.

    Raises:
        ValueError: for a text without a name or a value.
    """
    options: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if not name.strip() or not value.strip():
            raise ValueError(f"--set {setting!r}: expected option=value")
        options[name.strip()] = read_value(value.strip(), parts)
    return options


def read_texts(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of which some are written as text, as in a data set's card."""
    return {k: read_value(v) if isinstance(v, str) else v for k, v in options.items()}


def read_value(text: str, parts: Mapping[str, Callable] | None = None) -> Any:
    """A literal, a part with its options, or else the text itself.

    Parts are encoders, ``gru(hidden_size=128)``, and flows, ``maf(num_blocks=5)``, which become a
    ``functools.partial``, the samplers and schedules of ``tsgen.diffusion``, ``DPMSolverPP(20)``,
    and the objects that group options: ``Training(patience=3)``, ``Residual(layers=4)``,
    ``Given(rate=0.9)``.

    Args:
        text: the value.
        parts: others by name.

    Raises:
        ValueError: for a part that is not known, or arguments that are no literals.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except _UNREADABLE:
        return text
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return _part(text, tree.func.id, tree, parts or {})
    try:
        return ast.literal_eval(tree)
    except _UNREADABLE:
        return text


def _part(text: str, name: str, call: ast.Call, more: Mapping[str, Callable]) -> Any:
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        keywords = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except _UNREADABLE:
        raise ValueError(f"{text!r}: arguments must be numbers, quoted names or tuples") from None
    for registry in (encoders, flows):
        if name in registry:
            return functools.partial(registry[name], *positional, **keywords)
    parts = {part.__name__: part for part in _GROUPS} | {
        key: part
        for key, part in vars(tsgen.diffusion).items()
        if isinstance(part, type) and issubclass(part, Sampler | Schedule | LangevinSampler | CLD)
    }
    parts |= more
    if name not in parts:
        names = ", ".join([*sorted(encoders), *sorted(flows), *sorted(parts)])
        raise ValueError(f"{text!r}: no part is called {name}; known are {names}")
    try:
        return parts[name](*positional, **keywords)
    except TypeError as error:
        raise ValueError(f"{text!r}: {error}") from None
