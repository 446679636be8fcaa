"""A tariff as rating reads it: frozen, validated, in integers.

Prices are nano-units of the currency (1e-9), prices of energy per kWh, of demand per kW (or the unit named).
Upper bounds of tiers are in millionths of their unit, so that 1 kWh is 1_000_000 mWh and needs no conversion.
"""

import dataclasses
import datetime
import enum

NANO = 10**9
MICRO = 10**6
MONTHS = 12
HOURS = 24
MAX_TIERS = 10

type Schedule = tuple[tuple[int, ...], ...]


class EnergyUnit(enum.StrEnum):
    """What the upper bound of an energy tier counts."""

    KWH = "kWh"
    KWH_PER_KW = "kWh/kW"
    KWH_DAILY = "kWh daily"
    KWH_PER_KW_DAILY = "kWh/kW daily"

    @property
    def is_per_kw(self) -> bool:
        """Say whether the bound grows with the month's billing demand (hours of use)."""
        return self in {EnergyUnit.KWH_PER_KW, EnergyUnit.KWH_PER_KW_DAILY}

    @property
    def is_daily(self) -> bool:
        """Say whether the bound is per day of the billing period."""
        return self in {EnergyUnit.KWH_DAILY, EnergyUnit.KWH_PER_KW_DAILY}


class DemandUnit(enum.StrEnum):
    """What a demand price is per."""

    KW = "kW"
    KVA = "kVA"
    HP = "hp"


class Metering(enum.StrEnum):
    """How energy sent to the grid is settled."""

    NET_METERING = "net_metering"
    NET_BILLING = "net_billing"
    NET_BILLING_HOURLY = "net_billing_hourly"
    BUY_ALL_SELL_ALL = "buy_all_sell_all"


class ChargePer(enum.StrEnum):
    """The span of time that a fixed or minimum charge is for."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class TierAllocation(enum.StrEnum):
    """How tiers meet several time-of-use periods in one billing period.

    MONTH_TOTAL: the bill's total energy fills the tiers, and each period takes its share of every tier in
    proportion to its energy (the URDB reference's way).
    EACH_PERIOD: each period fills its own tiers from zero.
    """

    MONTH_TOTAL = "month_total"
    EACH_PERIOD = "each_period"


@dataclasses.dataclass(frozen=True, slots=True)
class EnergyTier:
    """One step of an energy price.

    `upper_micro` is in millionths of `unit`, None when open; `price_nano` and `adjustment_nano` are per kWh
    bought, `sell_nano` per kWh sold (None when the tariff names no price for it).
    """

    upper_micro: int | None
    unit: EnergyUnit
    price_nano: int
    adjustment_nano: int = 0
    sell_nano: int | None = None

    @property
    def total_nano(self) -> int:
        """Return the price with its adjustment, per kWh."""
        return self.price_nano + self.adjustment_nano


@dataclasses.dataclass(frozen=True, slots=True)
class DemandTier:
    """One step of a demand price: `upper_micro` millionths of the unit, None when open; prices per unit."""

    upper_micro: int | None
    price_nano: int
    adjustment_nano: int = 0

    @property
    def total_nano(self) -> int:
        """Return the price with its adjustment, per unit of demand."""
        return self.price_nano + self.adjustment_nano


@dataclasses.dataclass(frozen=True, slots=True)
class TimeOfUse:
    """Which period each hour of each month belongs to, on weekdays and on weekends (12 rows of 24)."""

    weekday: Schedule
    weekend: Schedule

    def __post_init__(self) -> None:
        for schedule in (self.weekday, self.weekend):
            if len(schedule) != MONTHS or any(len(row) != HOURS for row in schedule):
                raise ValueError("A schedule has 12 months of 24 hours.")

    @property
    def periods(self) -> frozenset[int]:
        """Return every period that some hour belongs to."""
        return frozenset(period for month in range(1, MONTHS + 1) for period in self.periods_in(month=month))

    def periods_in(self, *, month: int) -> frozenset[int]:
        """Return the periods of a calendar month (1 to 12)."""
        return frozenset(self.weekday[month - 1]) | frozenset(self.weekend[month - 1])


@dataclasses.dataclass(frozen=True, slots=True)
class EnergyCharge:
    """Prices of energy by period and tier."""

    tiers: tuple[tuple[EnergyTier, ...], ...]
    schedule: TimeOfUse

    def __post_init__(self) -> None:
        _check_periods(periods=self.schedule.periods, count=len(self.tiers), what="energy")
        if any(len(tiers) > MAX_TIERS or not tiers for tiers in self.tiers):
            raise ValueError(f"An energy period has one to {MAX_TIERS} tiers.")


@dataclasses.dataclass(frozen=True, slots=True)
class FlatDemandCharge:
    """Price of the highest demand of the billing period, by calendar month; `daily` bills each day's peak."""

    tiers: tuple[tuple[DemandTier, ...], ...]
    months: tuple[int, ...]
    unit: DemandUnit = DemandUnit.KW
    daily: bool = False

    def __post_init__(self) -> None:
        if len(self.months) != MONTHS:
            raise ValueError("Flat demand names a period for each of 12 months.")
        _check_periods(periods=frozenset(self.months), count=len(self.tiers), what="flat demand")


@dataclasses.dataclass(frozen=True, slots=True)
class TimeOfUseDemandCharge:
    """Price of the highest demand in each time-of-use period; also the form of coincident peaks."""

    tiers: tuple[tuple[DemandTier, ...], ...]
    schedule: TimeOfUse
    unit: DemandUnit = DemandUnit.KW
    daily: bool = False

    def __post_init__(self) -> None:
        _check_periods(periods=self.schedule.periods, count=len(self.tiers), what="demand")


@dataclasses.dataclass(frozen=True, slots=True)
class Ratchet:
    """Billing demand that remembers: `percent_micro` millionths (0.8 is 800_000) over `range_months` back.

    `months` says which calendar months are looked back on.
    """

    percent_micro: int
    months: tuple[bool, ...] = (True,) * MONTHS
    range_months: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class FixedCharge:
    """A charge for being connected; `additional_nano` for each further meter, `per_customer_nano` where named."""

    amount_nano: int
    per: ChargePer
    additional_nano: int = 0
    label: str = "Customer charge"


@dataclasses.dataclass(frozen=True, slots=True)
class MinimumCharge:
    """The least that a span of time costs, energy, demand and fixed charges together."""

    amount_nano: int
    per: ChargePer


@dataclasses.dataclass(frozen=True, slots=True)
class Tariff:
    """One version of a price sheet.

    What rating may not find in a customer's load (reactive energy, coincident peaks) is kept here and named
    in the bill's omissions when it could not be priced.
    """

    label: str
    name: str
    utility: str
    currency: str
    energy: EnergyCharge | None
    flat_demand: FlatDemandCharge | None = None
    tou_demand: TimeOfUseDemandCharge | None = None
    coincident_demand: TimeOfUseDemandCharge | None = None
    reactive_nano_per_kvar: int | None = None
    demand_window_minutes: int | None = None
    ratchet: Ratchet | None = None
    fixed: tuple[FixedCharge, ...] = ()
    minimums: tuple[MinimumCharge, ...] = ()
    fuel_adjustments_nano: tuple[int, ...] | None = None
    metering: Metering = Metering.NET_METERING
    tier_allocation: TierAllocation = TierAllocation.MONTH_TOTAL
    sector: str = ""
    effective_from: datetime.date | None = None
    effective_until: datetime.date | None = None
    source: str = ""
    warnings: tuple[str, ...] = ()


def _check_periods(*, periods: frozenset[int], count: int, what: str) -> None:
    beyond = sorted(period for period in periods if not 0 <= period < count)
    if beyond:
        raise ValueError(f"The {what} schedule names period {beyond[0]}, but there are {count} periods.")
