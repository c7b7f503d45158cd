"""The check of a table under the name that it has beside the Monitor that measures it."""

from fastrenyi.table.inequalities import inequalities

__all__ = ["inequalities"]
