"""A statement period cut into spans of one agreement and one tariff version, and what each leaves for later bills."""

import dataclasses
import datetime
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Self

from billing.domain import bill, demand, loads, rating, terms


@dataclasses.dataclass(frozen=True, slots=True)
class Days:
    """Local days `[starts_on, ends_on)`; without an end, for ever."""

    starts_on: datetime.date
    ends_on: datetime.date | None = None

    def within(self, other: "Days") -> "Days | None":
        """Return the days in both, or None."""
        starts_on = max(self.starts_on, other.starts_on)
        ends = [day for day in (self.ends_on, other.ends_on) if day is not None]
        ends_on = min(ends) if ends else None
        return None if ends_on is not None and ends_on <= starts_on else Days(starts_on, ends_on)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What a rated span leaves for the bills after it, kept with its bill as JSON."""

    service_point_id: int
    tariff_id: int
    starts_on: datetime.date
    ends_on: datetime.date
    import_milliwh: int
    export_milliwh: int
    peak_milliw: int
    total_nano: int
    carried_milliwh: tuple[tuple[int, int], ...]
    omissions: tuple[str, ...]
    estimates: tuple[bill.Estimate, ...] = ()
    prices_known_at: str = ""

    @classmethod
    def of(cls, *, rated: bill.RatedBill, service_point_id: int, tariff_id: int) -> Self:
        """Return what a rated span leaves."""
        return cls(
            service_point_id=service_point_id,
            tariff_id=tariff_id,
            starts_on=rated.period.starts_on,
            ends_on=rated.period.ends_on,
            import_milliwh=rated.usage.import_milliwh,
            export_milliwh=rated.usage.export_milliwh,
            peak_milliw=rated.usage.peak_milliw or 0,
            total_nano=rated.total_nano,
            carried_milliwh=rated.carried_milliwh,
            omissions=rated.omissions,
            estimates=rated.estimates,
            prices_known_at=rated.prices_known_at,
        )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {
            "starts_on": self.starts_on.isoformat(),
            "ends_on": self.ends_on.isoformat(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **value,
                "starts_on": datetime.date.fromisoformat(value["starts_on"]),
                "ends_on": datetime.date.fromisoformat(value["ends_on"]),
                "carried_milliwh": tuple((period, energy) for period, energy in value["carried_milliwh"]),
                "omissions": tuple(value["omissions"]),
                "estimates": tuple(bill.Estimate(**item) for item in value.get("estimates", ())),
            }
        )


def history(*, remainders: Sequence[Remainder], span: loads.BillingPeriod) -> rating.History:
    """Return what earlier spans of a service point mean for this one; `remainders` oldest first.

    Energy is carried from the span before; peaks count in the month in which their span ended; the year is the
    calendar's.
    """
    last_day = span.ends_on - datetime.timedelta(days=1)
    past = [item for item in remainders if item.ends_on <= span.starts_on]
    peaks: dict[tuple[int, int], int] = {}
    for item in past:
        ended = item.ends_on - datetime.timedelta(days=1)
        month = (ended.year, ended.month)
        peaks[month] = max(peaks.get(month, 0), item.peak_milliw)
    return rating.History(
        peaks=tuple(demand.PastPeak(year, month, peak) for (year, month), peak in sorted(peaks.items())),
        carried_milliwh=past[-1].carried_milliwh if past else (),
        carried_month=(past[-1].ends_on - datetime.timedelta(days=1)).month if past else 0,
        billed_in_year_nano=sum(item.total_nano for item in past if item.starts_on.year == last_day.year),
        ends_year=(last_day.month, last_day.day) == (12, 31),
    )


def read_terms(*, saved: Mapping[str, Any]) -> terms.Terms:
    """Return a utility's reading of a tariff from its JSON; what it does not say stays as `Terms` has it.

    :raises ValueError: an unknown field or value.
    """
    kinds: dict[str, type[enum.StrEnum]] = {
        "proration": terms.Proration,
        "rounding": bill.Rounding,
        "demand_conversion": terms.DemandConversion,
        "daily_demand": terms.DailyDemand,
        "tiers": terms.TierReading,
        "ratchet": terms.RatchetReading,
        "carry": terms.CarryReading,
    }
    values: dict[str, Any] = dict(saved)
    unknown = values.keys() - {field.name for field in dataclasses.fields(terms.Terms)}
    if unknown:
        raise ValueError(f"Unknown terms: {', '.join(sorted(unknown))}.")
    for name, kind in kinds.items():
        if name in values:
            values[name] = kind(values[name])
    if "holidays" in values:
        values["holidays"] = frozenset(datetime.date.fromisoformat(day) for day in values["holidays"])
    if "system_peaks" in values:
        values["system_peaks"] = frozenset(datetime.datetime.fromisoformat(at) for at in values["system_peaks"])
    if "whole_month_days" in values:
        least, most = values["whole_month_days"]
        values["whole_month_days"] = (int(least), int(most))
    return terms.Terms(**values)
