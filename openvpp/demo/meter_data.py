"""The real Green Button file, and the same month dated on by whole years of 364 days, which keep the weekdays."""

import dataclasses
import datetime
import pathlib
import re

from billing import models as billing_models
from customers import models as customer_models

FILE = pathlib.Path(__file__).resolve().parent.parent / "seed_data" / "green_button_hourly_32_days.xml"
FIRST_DAY = datetime.date(2012, 4, 1)
LAST_DAY_AFTER = datetime.date(2012, 5, 1)
FILE_ENDS_ON = datetime.date(2012, 5, 4)
STEP = datetime.timedelta(days=364)
STARTS = re.compile(rb"(<start>)(\d+)(</start>)")


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A statement period `[starts_on, ends_on)` and the file that covers it."""

    starts_on: datetime.date
    ends_on: datetime.date
    file_name: str
    content: bytes
    years_on: int


def next_statement(*, account: customer_models.CustomerAccount, today: datetime.date) -> Statement | None:
    """Return the first statement period that is not billed yet, or None when every year up to today is."""
    rated = account.bills.filter(source=billing_models.Bill.Source.RATED)
    billed = set(rated.exclude(state=billing_models.Bill.State.CANCELLED).values_list("starts_on", flat=True))
    years_on = 0
    while FIRST_DAY + years_on * STEP in billed:
        years_on += 1
    moved = years_on * STEP
    if FILE_ENDS_ON + moved > today:
        return None
    return Statement(
        starts_on=FIRST_DAY + moved,
        ends_on=LAST_DAY_AFTER + moved,
        file_name=f"green-button-{(FIRST_DAY + moved).isoformat()}.xml",
        content=_moved(FILE.read_bytes(), seconds=int(moved.total_seconds())),
        years_on=years_on,
    )


def _moved(content: bytes, *, seconds: int) -> bytes:
    if not seconds:
        return content
    return STARTS.sub(lambda match: match[1] + str(int(match[2]) + seconds).encode() + match[3], content)
