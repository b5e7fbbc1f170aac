from tracemalloc import (
    BaseFilter as BaseFilter,
)
from tracemalloc import (
    DomainFilter as DomainFilter,
)
from tracemalloc import (
    Filter as Filter,
)
from tracemalloc import (
    Frame as Frame,
)
from tracemalloc import (
    Snapshot as Snapshot,
)
from tracemalloc import (
    Statistic as Statistic,
)
from tracemalloc import (
    StatisticDiff as StatisticDiff,
)
from tracemalloc import (
    Trace as Trace,
)
from tracemalloc import (
    Traceback as Traceback,
)
from tracemalloc import (
    clear_traces as clear_traces,
)
from tracemalloc import (
    get_object_traceback as get_object_traceback,
)
from tracemalloc import (
    get_traceback_limit as get_traceback_limit,
)
from tracemalloc import (
    get_traced_memory as get_traced_memory,
)
from tracemalloc import (
    get_tracemalloc_memory as get_tracemalloc_memory,
)
from tracemalloc import (
    is_tracing as is_tracing,
)
from tracemalloc import (
    reset_peak as reset_peak,
)
from tracemalloc import (
    start as start,
)
from tracemalloc import (
    stop as stop,
)
from tracemalloc import (
    take_snapshot as take_snapshot,
)

def start_from_the_beginning(nframe: int) -> None: ...
