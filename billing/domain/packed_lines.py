"""A draft's lines in few bytes: what a line is stands once in a layout, what it came to for a customer in numbers.

Millions of drafts of one tariff and period differ in nothing but quantities and amounts. A layout is written once and
never changed, so that a draft says the same for ever, whatever the code that made it becomes.

A draft is a row of little-endian int64 for each span: layout, service point, energy taken and given (mWh), peak and
billing demand (mW), how many carries and how many lines follow; carries as (period, mWh), lines as (place in the
layout, millionths of the unit, unit price, amount), both in nano-units. Service point 0 is none: what a bill has once.
"""

import dataclasses
import datetime
import decimal
import fractions
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from billing.domain import bill, loads

HEAD = 8
WORDS_OF_LINE = 4
NO_POINT = 0
MICRO_OF_ONE = 10**6


@dataclasses.dataclass(frozen=True, slots=True)
class Template:
    """What a line is: all of it but its numbers."""

    kind: bill.LineKind
    label: str
    unit: str
    period: int | None = None
    tier: int | None = None
    factor: fractions.Fraction = fractions.Fraction(1)

    @classmethod
    def of(cls, line: bill.Line) -> Self:
        """Return what a line is."""
        return cls(
            kind=line.kind,
            label=line.label,
            unit=line.unit,
            period=line.period,
            tier=line.tier,
            factor=line.factor,
        )

    def line(self, *, quantity_micro: int, unit_price_nano: int, amount_nano: int) -> bill.Line:
        """Return the line that came to this."""
        return bill.Line(
            kind=self.kind,
            label=self.label,
            quantity=bill.plain(decimal.Decimal(quantity_micro).scaleb(-6)),
            unit=self.unit,
            unit_price_nano=unit_price_nano,
            amount_nano=amount_nano,
            period=self.period,
            tier=self.tier,
            factor=self.factor,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """What the lines of spans are that share a version of a tariff and local days `[starts_on, ends_on)`.

    Spans with estimates, or at real-time prices, are rated alone and have a layout each.
    """

    tariff_id: int | None
    starts_on: datetime.date
    ends_on: datetime.date
    templates: tuple[Template, ...]
    omissions: tuple[str, ...] = ()
    estimates: tuple[bill.Estimate, ...] = ()
    prices_known_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it for a JSON column."""
        return {
            "tariff_id": self.tariff_id,
            "starts_on": self.starts_on.isoformat(),
            "ends_on": self.ends_on.isoformat(),
            "omissions": list(self.omissions),
            "estimates": [dataclasses.asdict(estimate) for estimate in self.estimates],
            "prices_known_at": self.prices_known_at,
            "templates": [
                {
                    **dataclasses.asdict(template),
                    "kind": template.kind.value,
                    "factor": [template.factor.numerator, template.factor.denominator],
                }
                for template in self.templates
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(
            tariff_id=value["tariff_id"],
            starts_on=datetime.date.fromisoformat(value["starts_on"]),
            ends_on=datetime.date.fromisoformat(value["ends_on"]),
            omissions=tuple(value["omissions"]),
            estimates=tuple(bill.Estimate(**item) for item in value["estimates"]),
            prices_known_at=value["prices_known_at"],
            templates=tuple(
                Template(**{**item, "kind": bill.LineKind(item["kind"]), "factor": fractions.Fraction(*item["factor"])})
                for item in value["templates"]
            ),
        )

    @property
    def digest(self) -> bytes:
        """Return 32 bytes that only this layout has."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).digest()


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """One span of a draft, read back."""

    layout: Layout
    service_point_id: int
    usage: bill.Usage
    carried_milliwh: tuple[tuple[int, int], ...]
    lines: tuple[bill.Line, ...]

    @property
    def rated_nano(self) -> int:
        """Return what rating came to with its rounding, without what rules added after it."""
        count = next((i for i, line in enumerate(self.lines) if line.kind not in bill.COMPONENT_OF), len(self.lines))
        if count < len(self.lines) and self.lines[count].kind is bill.LineKind.ROUNDING:
            count += 1
        return sum(line.amount_nano for line in self.lines[:count])


def pack(
    *,
    lines: Sequence[bill.Line],
    usage: bill.Usage,
    carried_milliwh: Sequence[tuple[int, int]],
    layout_id: int,
    service_point_id: int,
) -> bytes:
    """Return a span in bytes; its layout has the template of each of its lines, in their order."""
    words = [
        layout_id,
        service_point_id,
        usage.import_milliwh,
        usage.export_milliwh,
        usage.peak_milliw,
        usage.billing_demand_milliw,
        len(carried_milliwh),
        len(lines),
    ]
    for pair in carried_milliwh:
        words += pair
    for place, line in enumerate(lines):
        words += [place, int(line.quantity.scaleb(6)), line.unit_price_nano, line.amount_nano]
    return np.array(words, dtype="<i8").tobytes()


def layouts_in(packed: bytes) -> list[int]:
    """Return which layouts the spans of a draft have."""
    return [int(words[0]) for words in _split(packed)]


def unpack(*, packed: bytes, layouts: Mapping[int, Layout]) -> list[Span]:
    """Return the spans of a draft with their lines."""
    return [_read(words.tolist(), layouts) for words in _split(packed)]


def _split(packed: bytes) -> list[loads.Int64s]:
    words = np.frombuffer(packed, dtype="<i8")
    spans: list[loads.Int64s] = []
    at = 0
    while at < len(words):
        size = HEAD + 2 * int(words[at + 6]) + WORDS_OF_LINE * int(words[at + 7])
        spans.append(words[at : at + size])
        at += size
    return spans


def _read(words: Sequence[int], layouts: Mapping[int, Layout]) -> Span:
    layout = layouts[words[0]]
    carries, count = words[6], words[7]
    first = HEAD + 2 * carries
    places = range(first, first + WORDS_OF_LINE * count, WORDS_OF_LINE)
    return Span(
        layout=layout,
        service_point_id=words[1],
        usage=bill.Usage(
            import_milliwh=words[2],
            export_milliwh=words[3],
            peak_milliw=words[4],
            billing_demand_milliw=words[5],
        ),
        carried_milliwh=tuple((words[HEAD + 2 * i], words[HEAD + 2 * i + 1]) for i in range(carries)),
        lines=tuple(
            layout.templates[place].line(quantity_micro=quantity, unit_price_nano=price, amount_nano=amount)
            for place, quantity, price, amount in (words[at : at + WORDS_OF_LINE] for at in places)
        ),
    )
