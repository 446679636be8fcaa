"""What is measured, in which direction, and how far it may be trusted."""

import enum


class Unit(enum.StrEnum):
    """The unit whose thousandths a channel counts."""

    WATT_HOUR = "Wh"
    VOLT_AMPERE_HOUR = "VAh"
    VOLT_AMPERE_REACTIVE_HOUR = "varh"
    WATT = "W"


class Flow(enum.StrEnum):
    """Which way the energy went, seen from the utility."""

    DELIVERED = "delivered"
    RECEIVED = "received"
    NET = "net"


class Quality(enum.IntEnum):
    """How an interval's value came about. Stored as one byte: append, never renumber."""

    MISSING = 0
    RAW = 1
    VALID = 2
    ESTIMATED = 3
    EDITED = 4
    SUSPECT = 5
    DERIVED = 6
    PROJECTED = 7
    MIXED = 8
    INTERPOLATED = 9
    LIKE_DAY = 10
    PROFILED = 11


ESTIMATES = frozenset({Quality.ESTIMATED, Quality.INTERPOLATED, Quality.LIKE_DAY, Quality.PROFILED})
"""Values that a real reading replaces, and that a bill should name."""
