"""How a utility reads its tariff where the price sheet is silent, and how much of a month a period is."""

import calendar
import dataclasses
import datetime
import enum
import fractions

from billing.domain import bill, loads


class Proration(enum.StrEnum):
    """How monthly charges and bounds follow a period that is not a whole month.

    NONE: one bill, one month. CALENDAR: days over the days of each calendar month touched. THIRTY_DAYS: days
    over 30.
    """

    NONE = "none"
    CALENDAR = "calendar"
    THIRTY_DAYS = "thirty_days"


class DemandConversion(enum.StrEnum):
    """How a price per kVA or hp meets a meter that reads kW.

    NUMBER_FOR_NUMBER: 1 kW counts as 1 kVA or 1 hp (the URDB reference's way).
    PHYSICAL: kVA = kW / power factor, hp = kW / 0.745699872.
    """

    NUMBER_FOR_NUMBER = "number_for_number"
    PHYSICAL = "physical"


class DailyDemand(enum.StrEnum):
    """What a demand price in a daily unit is charged on.

    MONTH_PEAK: once on the period's peak (the URDB reference's way). EACH_DAY: on each day's own peak.
    """

    MONTH_PEAK = "month_peak"
    EACH_DAY = "each_day"


class TierReading(enum.StrEnum):
    """How tiers are read whose bounds mix kWh and kWh per kW, or do not rise.

    AS_WORDED: every bound is what its unit says, a step inside a block ends with the block, and energy beyond
    the last bound is in the last tier.
    REFERENCE: as Utilityrate5 does: bounds per kW count only when the first tier is per kW, otherwise every bound
    is a number of kWh; a bound below the one before it takes energy back; energy beyond the last bound is free.
    """

    AS_WORDED = "as_worded"
    REFERENCE = "reference"


class RatchetReading(enum.StrEnum):
    """What a lookback percentage is taken of.

    AT_LEAST_CURRENT_PEAK: this month's own peak counts in full, and the percentage of the highest peak of the
    months looked back on (eleven where the tariff's range is 0) is the least that is billed.
    REFERENCE: as Utilityrate5 does: the percentage of the highest peak among this month and the months looked
    back on, whatever months the tariff names; a window that reaches into the year before takes one month more.
    """

    AT_LEAST_CURRENT_PEAK = "at_least_current_peak"
    REFERENCE = "reference"


class CarryReading(enum.StrEnum):
    """To which period kWh are carried when the months' schedules differ.

    SAME_HOURS: to the period that the next month's weekdays (for a period of weekends only, its weekends) have
    at the first hour of the period that they come from.
    REFERENCE: as Utilityrate5 does: the same, but it looks only at 0, 5, 11 and 17 h of weekdays; kWh of a period
    that has none of these hours are lost.
    """

    SAME_HOURS = "same_hours"
    REFERENCE = "reference"


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """A utility's reading of its tariff.

    A period of `whole_month_days` (inclusive bounds) counts as one month, undivided, whatever `proration` says.
    `holidays` are billed as weekends. `system_peaks` are the instants of the utility's own peaks, at which
    coincident demand is taken. `meters` counts the meters of the account.

    `true_up_month` (1 to 12) ends the year of net metering: the bill that holds that month's last day pays what is
    left over at `cash_out_nano_per_kwh` and carries nothing on; at a price of 0 the surplus is the utility's. Without
    it kWh are carried for ever.

    `real_time_index` names the utility's series of real-time prices: each interval's kWh taken less given cost its
    price, beside what the sheet itself says of energy.
    """

    proration: Proration = Proration.CALENDAR
    whole_month_days: tuple[int, int] = (26, 35)
    rounding: bill.Rounding = bill.Rounding.BILL
    minor_digits: int = 2
    demand_conversion: DemandConversion = DemandConversion.NUMBER_FOR_NUMBER
    daily_demand: DailyDemand = DailyDemand.MONTH_PEAK
    power_factor_micro: int = 1_000_000
    holidays: frozenset[datetime.date] = frozenset()
    system_peaks: frozenset[datetime.datetime] = frozenset()
    tiers: TierReading = TierReading.AS_WORDED
    ratchet: RatchetReading = RatchetReading.AT_LEAST_CURRENT_PEAK
    carry: CarryReading = CarryReading.SAME_HOURS
    true_up_month: int | None = None
    cash_out_nano_per_kwh: int = 0
    real_time_index: str = ""
    meters: int = 1
    allow_gaps: bool = False

    def __post_init__(self) -> None:
        if self.true_up_month is not None and not 1 <= self.true_up_month <= calendar.DECEMBER:
            raise ValueError("The true-up month is 1 to 12.")


AS_REFERENCE = Terms(tiers=TierReading.REFERENCE, ratchet=RatchetReading.REFERENCE, carry=CarryReading.REFERENCE)


@dataclasses.dataclass(frozen=True, slots=True)
class MonthShares:
    """How much of a monthly charge falls on each calendar month of a period; the sum is the period's factor."""

    shares: tuple[tuple[int, fractions.Fraction], ...]

    @property
    def factor(self) -> fractions.Fraction:
        """Return how many months the period counts as."""
        return sum((share for _, share in self.shares), start=fractions.Fraction(0))

    def where(self, months: frozenset[int]) -> fractions.Fraction:
        """Return the share of the calendar months named (1 to 12)."""
        return sum((share for month, share in self.shares if month in months), start=fractions.Fraction(0))


def month_shares(*, period: loads.BillingPeriod, terms: Terms) -> MonthShares:
    """Return how much of a month each calendar month of the period stands for."""
    parts = period.days_by_month()
    shortest, longest = terms.whole_month_days
    is_whole = shortest <= period.days <= longest or (
        len(parts) == 1 and parts[0][2] == calendar.monthrange(parts[0][0], parts[0][1])[1]
    )
    if is_whole or terms.proration is Proration.NONE:
        return MonthShares(tuple((month, fractions.Fraction(days, period.days)) for _, month, days in parts))
    return MonthShares(
        tuple(
            (
                month,
                fractions.Fraction(
                    days, 30 if terms.proration is Proration.THIRTY_DAYS else calendar.monthrange(year, month)[1]
                ),
            )
            for year, month, days in parts
        )
    )
