"""What the checks share."""

from collections.abc import Callable
from typing import Any

from gluonts.core.serde import dump_json, load_json
from torch import nn


def reload(part: Any) -> Any:
    """Through JSON, with the weights."""
    again = load_json(dump_json(part))
    if isinstance(part, nn.Module):
        again.load_state_dict(part.state_dict())
        again.train(part.training)
    return again


def check_raises(kind: type[Exception], action: Callable[[], Any], what: str) -> None:
    """Assert that an action raises an exception of one kind."""
    try:
        action()
    except kind:
        return
    except Exception as error:  # noqa: BLE001
        raise AssertionError(
            f"{what} raises {type(error).__name__} instead of {kind.__name__}: {error}"
        ) from error
    raise AssertionError(f"{what} does not raise {kind.__name__}")
