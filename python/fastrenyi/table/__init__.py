"""The table that a ``fastrenyi.torch.Monitor`` measures: its columns, its store, what its rows say of the inequalities.

Needs pandas (an export to Parquet pyarrow as well) and not torch, so that a report can be made of a table where no
network runs.
"""

from fastrenyi.table.inequalities import inequalities
from fastrenyi.table.pairs import pairs
from fastrenyi.table.tidy import tidy, to_xarray

__all__ = ["inequalities", "pairs", "tidy", "to_xarray"]
