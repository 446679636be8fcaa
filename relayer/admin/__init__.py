"""The relayer as staff see it: operations, the state of keys and pool, what can be done, rows to look at."""

from relayer.admin import gas, operations, rows

__all__ = ["gas", "operations", "rows"]
