"""Encoders: from history to conditioning."""

from tsgen.core import Registry
from tsgen.encoders.base import Encoded, HistoryEncoder, State
from tsgen.encoders.pattern import PatternEncoder
from tsgen.encoders.recurrent import GRUEncoder, LSTMEncoder
from tsgen.encoders.transformer import TransformerEncoder

encoders: Registry[HistoryEncoder] = Registry(
    "encoder", {"gru": GRUEncoder, "lstm": LSTMEncoder, "transformer": TransformerEncoder}
)

__all__ = [
    "Encoded",
    "GRUEncoder",
    "HistoryEncoder",
    "LSTMEncoder",
    "PatternEncoder",
    "State",
    "TransformerEncoder",
    "encoders",
]
