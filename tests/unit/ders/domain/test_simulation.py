"""The simulated device: deterministic, bounded, and idle where it says so."""

import datetime
import zoneinfo

import pytest

from ders.domain import simulation

ZONE = "America/New_York"
START = datetime.datetime(2026, 7, 15, 17, tzinfo=zoneinfo.ZoneInfo(ZONE)).astimezone(datetime.UTC)
END = START + datetime.timedelta(hours=1)


def device(device_id: str = "one", kind: str = "battery", power_w: int = 5000) -> simulation.Device:
    return simulation.Device(device_id=device_id, kind=kind, power_w=power_w, time_zone=ZONE)


def test_the_same_device_has_the_same_day() -> None:
    asked = {"device": device(kind="thermostat"), "starts_at": START, "ends_at": END}
    assert list(simulation.usual_intervals(**asked)) == list(simulation.usual_intervals(**asked))


def test_an_idle_battery_stands_by_in_the_evening() -> None:
    intervals = list(simulation.usual_intervals(device=device(), starts_at=START, ends_at=END))
    assert [interval.net_wh for interval in intervals] == [4, 4, 4, 4]


def test_a_battery_gives_94_to_100_percent_of_what_was_asked() -> None:
    intervals = list(simulation.commanded_intervals(device=device(), starts_at=START, ends_at=END, reduction_w=4000))
    assert all(-1000 + 4 <= interval.net_wh <= -940 + 4 for interval in intervals)
    assert all(interval.delivered_wh == 0 and interval.received_wh > 0 for interval in intervals)


def test_a_thermostat_sheds_no_more_than_it_uses() -> None:
    asked = {"device": device(kind="thermostat", power_w=1000), "starts_at": START, "ends_at": END}
    assert all(i.net_wh == 0 for i in simulation.commanded_intervals(**asked, reduction_w=50_000))


@pytest.mark.parametrize("prefix", [simulation.MUTE_PREFIX, simulation.IDLE_PREFIX])
def test_a_device_that_does_nothing_goes_on_as_usual(prefix: str) -> None:
    asked = {"device": device(f"{prefix}1", kind="thermostat"), "starts_at": START, "ends_at": END}
    assert list(simulation.commanded_intervals(**asked, reduction_w=500)) == list(simulation.usual_intervals(**asked))


def test_only_a_mute_device_leaves_commands_unanswered() -> None:
    assert [device(i).acknowledges for i in ("one", "idle-1", "mute-1")] == [True, True, False]


def test_only_whole_intervals_are_told() -> None:
    intervals = list(
        simulation.usual_intervals(device=device(), starts_at=START, ends_at=START + datetime.timedelta(minutes=29))
    )
    assert [interval.starts_at for interval in intervals] == [START]
