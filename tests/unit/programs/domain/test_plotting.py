"""The plot of an event is well-formed, says its numbers, and keeps its labels apart."""

import datetime
import decimal
import zoneinfo
from xml.etree import ElementTree

from programs.domain import plotting

ZONE = zoneinfo.ZoneInfo("America/New_York")
START = datetime.datetime(2026, 7, 16, 21, tzinfo=datetime.UTC)
SVG = "{http://www.w3.org/2000/svg}"


def points(*pairs: tuple[str | None, int | None]) -> list[plotting.Point]:
    return [
        plotting.Point.from_data(
            {
                "starts_at": (START + datetime.timedelta(minutes=15 * i)).isoformat(),
                "baseline_wh": baseline,
                "actual_wh": actual,
            }
        )
        for i, (baseline, actual) in enumerate(pairs)
    ]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def paths(svg: str) -> list[str]:
    return [element.attrib["d"] for element in ElementTree.fromstring(svg).iter(f"{SVG}path")]


def test_it_shows_power_over_local_time() -> None:
    svg = plotting.to_svg(points=points(("500", -1000), ("500", -800)), zone=ZONE)
    assert texts(svg) == ["kW", "baseline", "actual", "-4.00", "0.00", "2.00", "17:00", "17:15"]
    assert ElementTree.fromstring(svg).findtext(f"{SVG}title") == (
        "Baseline 1000 Wh, actual -1800 Wh of net consumption"
    )


def test_labels_that_would_lie_on_each_other_are_left_out() -> None:
    assert "0.02" not in texts(plotting.to_svg(points=points(("4", -1000)), zone=ZONE))


def test_a_gap_interrupts_the_line() -> None:
    baseline, actual = paths(plotting.to_svg(points=points(("5", 1), ("5", None), ("5", 1)), zone=ZONE))
    assert (baseline.count("M"), actual.count("M")) == (1, 2)


def test_a_device_without_baseline_shows_what_it_did() -> None:
    assert len(paths(plotting.to_svg(points=points((None, 4), (None, 4)), zone=ZONE))) == 1


def test_devices_add_up() -> None:
    total = plotting.add_up([points(("5", 1)), points(("7.5", -3)), points((None, None))])
    assert [(p.baseline_wh, p.actual_wh) for p in total] == [(decimal.Decimal("12.5"), -2)]
