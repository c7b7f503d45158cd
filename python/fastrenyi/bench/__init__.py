"""What the library is measured by: one set of workloads, for ``fastrenyi bench`` and for ``benchmarks/``.

``workloads`` names them, ``peers`` holds what others would write, ``outside`` finds what users add, ``measure``
verifies and times, ``memory`` finds the peak, ``table`` shows the rows, ``compare`` puts them beside an earlier run,
``command`` is ``fastrenyi bench``. Needs torch, rich and threadpoolctl:
``pip install 'fastrenyi[bench]'``; the benchmarks of the GPU, ``gpu``, need of these torch alone.
"""

from fastrenyi.bench.task import Side, Task, Workload, WrongAnswerError
from fastrenyi.bench.workloads import SIZES, workloads

__all__ = ["SIZES", "Side", "Task", "Workload", "WrongAnswerError", "workloads"]
