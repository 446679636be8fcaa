"""What a bill's days were read to be, as rating takes it, and which of it the meter did not say."""

import dataclasses

from billing.domain import bill as rated_bills
from billing.domain import loads
from meters import queries as meter_queries
from meters.domain import usage
from openvpp.core import errors
from openvpp.core import period as periods


class UnableToBillReadings(errors.UnableTo):
    """A person has to look at the readings first; the detail says which."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Load:
    """Readings of some days at one service point, and the estimates among them."""

    series: loads.IntervalSeries
    estimates: tuple[rated_bills.Estimate, ...]


def read(*, service_point_id: int, days: loads.BillingPeriod, wants_reactive: bool) -> Load:
    """Return a service point's readings of some local days; reactive energy only where a tariff charges for it.

    :raises UnableToBillReadings: an open question forbids a bill of these days.
    :raises meter_queries.UnableToReadUsage: channels cannot be added up, or reactive energy is read in part only.
    """
    starts_at = periods.local_midnight(day=days.starts_on, zone=days.zone)
    ends_at = periods.local_midnight(day=days.ends_on, zone=days.zone)
    asked = meter_queries.get_blocking_questions(
        service_point_id=service_point_id, starts_at=starts_at, ends_at=ends_at
    )
    if asked:
        raise UnableToBillReadings(
            f"The readings are in question: {asked[0].get_kind_display().lower()} at {asked[0].service_point}, "
            f"{asked[0].starts_at.isoformat()}. Accept, estimate or edit them first.",
            code="readings_in_question",
        )
    consumption = meter_queries.get_consumption(service_point_id=service_point_id, starts_at=starts_at, ends_at=ends_at)
    return Load(
        series=loads.IntervalSeries(
            starts=consumption.starts,
            seconds=consumption.seconds,
            import_milliwh=consumption.delivered_milli_wh,
            export_milliwh=consumption.received_milli_wh if consumption.has_received else None,
            reactive_millivarh=(
                meter_queries.get_reactive(service_point_id=service_point_id, like=consumption)
                if wants_reactive
                else None
            ),
        ),
        estimates=tuple(
            rated_bills.Estimate(quality.name.lower(), *found)
            for quality, found in usage.estimated(read=consumption).items()
        ),
    )
