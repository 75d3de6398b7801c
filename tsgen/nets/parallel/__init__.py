"""How a network's work is handed to threads of a CPU, or replayed by a GPU."""

from tsgen.nets.parallel.replay import cuda_graphs
from tsgen.nets.parallel.threads import rows_in_parallel

__all__ = ["cuda_graphs", "rows_in_parallel"]
