"""Says in words when a time-of-use period is: the tariff's schedule gives only numbers."""

from billing.domain import tariffs


def name_periods(*, schedule: tariffs.TimeOfUse, months: frozenset[int]) -> dict[int, str]:
    """Return a name for each period of the calendar months given, empty when there is only one.

    Hours are local and half-open: `weekdays 15-19 h`.
    """
    touched = sorted({period for month in months for period in schedule.periods_in(month=month)})
    if len(touched) < 2:  # noqa: PLR2004 - one period needs no name
        return dict.fromkeys(touched, "")
    return {period: _name(period=period, schedule=schedule, months=months) for period in touched}


def _name(*, period: int, schedule: tariffs.TimeOfUse, months: frozenset[int]) -> str:
    weekday = {_ranges(schedule.weekday[month - 1], period) for month in months} - {""}
    weekend = {_ranges(schedule.weekend[month - 1], period) for month in months} - {""}
    if len(weekday) > 1 or len(weekend) > 1:
        return f"period {period + 1}"
    on_weekdays, on_weekends = next(iter(weekday), ""), next(iter(weekend), "")
    if on_weekdays == on_weekends == _ALL_DAY:
        return f"period {period + 1}"
    if on_weekdays == on_weekends:
        return f"every day {on_weekdays}"
    parts = [
        f"{days} {hours}".strip() for days, hours in (("weekdays", on_weekdays), ("weekends", on_weekends)) if hours
    ]
    return ", ".join(parts)


_ALL_DAY = "all day"


def _ranges(row: tuple[int, ...], period: int) -> str:
    if all(value == period for value in row):
        return _ALL_DAY
    ranges: list[str] = []
    start: int | None = None
    for hour, value in enumerate((*row, -1)):
        if value == period and start is None:
            start = hour
        elif value != period and start is not None:
            ranges.append(f"{start}-{hour}")
            start = None
    return f"{' and '.join(ranges)} h" if ranges else ""
