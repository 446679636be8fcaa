"""The simulated device: deterministic, bounded, and idle where it says so."""

import datetime
import zoneinfo

import pytest

from ders.domain import simulation, telemetry

ZONE = "America/New_York"
START = datetime.datetime(2026, 7, 15, 17, tzinfo=zoneinfo.ZoneInfo(ZONE)).astimezone(datetime.UTC)
END = START + datetime.timedelta(hours=1)


def device(device_id: str = "one", kind: str = "battery", power_w: int = 5000) -> simulation.Device:
    return simulation.Device(device_id=device_id, kind=kind, power_w=power_w, time_zone=ZONE)


def usual(of: simulation.Device) -> list[telemetry.Interval]:
    return list(simulation.usual_intervals(device=of, starts_at=START, ends_at=END))


def commanded(of: simulation.Device, reduction_w: int) -> list[telemetry.Interval]:
    return list(simulation.commanded_intervals(device=of, starts_at=START, ends_at=END, reduction_w=reduction_w))


def test_the_same_device_has_the_same_day() -> None:
    assert usual(device(kind="thermostat")) == usual(device(kind="thermostat"))


def test_an_idle_battery_stands_by_in_the_evening() -> None:
    assert [interval.net_wh for interval in usual(device())] == [4, 4, 4, 4]


def test_a_battery_gives_94_to_100_percent_of_what_was_asked() -> None:
    intervals = commanded(device(), 4000)
    assert all(-1000 + 4 <= interval.net_wh <= -940 + 4 for interval in intervals)
    assert all(interval.delivered_wh == 0 and interval.received_wh > 0 for interval in intervals)


def test_a_thermostat_sheds_no_more_than_it_uses() -> None:
    shed = commanded(device(kind="thermostat", power_w=1000), 50_000)
    assert [interval.net_wh for interval in shed] == [0, 0, 0, 0]


@pytest.mark.parametrize("prefix", [simulation.MUTE_PREFIX, simulation.IDLE_PREFIX])
def test_a_device_that_does_nothing_goes_on_as_usual(prefix: str) -> None:
    still = device(f"{prefix}1", kind="thermostat")
    assert commanded(still, 500) == usual(still)


def test_only_a_mute_device_leaves_commands_unanswered() -> None:
    assert [device(i).acknowledges for i in ("one", "idle-1", "mute-1")] == [True, True, False]


def test_only_whole_intervals_are_told() -> None:
    intervals = list(
        simulation.usual_intervals(device=device(), starts_at=START, ends_at=START + datetime.timedelta(minutes=29))
    )
    assert [interval.starts_at for interval in intervals] == [START]
