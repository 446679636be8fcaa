"""What goes wrong with meters: found, not billed, decided by a person with a reason, and undone by the truth."""

import datetime
import zoneinfo
from typing import Any

import numpy as np
import pytest
from django.core import exceptions as django_exceptions
from django.core import management
from django.db import IntegrityError

from customers import models as customers_models
from meters import models, operations, queries
from meters.domain import delivery, estimation, packing, units
from meters.queries import packed
from meters.usecases import decide_exceptions, ingest_readings, take_register_reads
from openvpp.core import db
from tests.factories import customers

NOW = datetime.datetime(2026, 6, 20, 12, tzinfo=datetime.UTC)
ZONE = zoneinfo.ZoneInfo("America/New_York")
FIRST = datetime.datetime(2026, 4, 1, tzinfo=ZONE)
SHAPE = np.array(
    [
        200, 180, 170, 170, 180, 220, 350, 500, 450, 400, 380, 390,
        400, 390, 380, 420, 600, 900, 1100, 1000, 800, 600, 400, 250,
    ]
)  # fmt: skip
KWH = 10**6
Kind = models.MeterException.Kind


@pytest.fixture
def point(transactional_db: None) -> customers_models.ServicePoint:
    return customers.ServicePoint.create()


@pytest.fixture
def analyst(transactional_db: None) -> int:
    return int(customers.StaffUser.create().pk)


def true_values(days: int) -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 40, 24 * days)
    return (np.tile(SHAPE, days) + noise) * 1000


def deliver(
    point: customers_models.ServicePoint, values: np.ndarray, *, first_hour: int = 0, present: np.ndarray | None = None
) -> models.ImportBatch:
    starts = int(FIRST.timestamp()) + 3600 * (first_hour + np.arange(len(values), dtype=np.int64))
    kept = np.ones(len(values), dtype=bool) if present is None else present
    series = packing.Series(
        3600, starts[kept], values[kept].astype(np.int64), np.full(int(kept.sum()), units.Quality.RAW, dtype=np.uint8)
    )
    channel = delivery.ChannelReadings("p", "", units.Flow.DELIVERED, units.Unit.WATT_HOUR, (series,))
    return ingest_readings.ingest(
        delivered=delivery.Delivery((channel,)),
        sha256=np.random.default_rng().bytes(32),
        source=models.ImportBatch.Format.PUSH,
        utility_id=point.premise.utility_id,
        points={"p": point.pk},
        now=NOW,
    )


def span(days: int) -> dict[str, datetime.datetime]:
    return {"starts_at": FIRST, "ends_at": FIRST + datetime.timedelta(days=days)}


def used(point: customers_models.ServicePoint, days: int) -> list[int]:
    values = queries.get_consumption(service_point_id=point.pk, **span(days)).delivered_milli_wh
    return [int(value) for value in values]


def only(kind: Kind) -> models.MeterException:
    found = models.MeterException.objects.get(state="open", kind=kind)
    assert isinstance(found, models.MeterException)
    return found


def test_lower_read_that_is_no_rollover_is_asked_about_and_never_billed(point: customers_models.ServicePoint) -> None:
    register = models.Register.objects.create(utility=point.premise.utility, service_point=point, serial="M-1", dials=5)

    def take(day: int, kwh: int) -> take_register_reads.Verdict:
        read = take_register_reads.Read(
            service_point=point.number,
            serial="M-1",
            read_at=FIRST + datetime.timedelta(days=day),
            milli_units=kwh * KWH,
        )
        (verdict,) = take_register_reads.take(utility_id=point.premise.utility_id, reads=[read], now=NOW)
        return verdict

    take(0, 48_000)
    refused = take(10, 47_500)

    assert refused.code == "lower_read"
    question = only(Kind.LOWER_READ)
    assert (question.is_blocking, question.service_point_id) == (True, point.pk)
    assert question.facts["earlier_milli_units"] == 48_000 * KWH
    assert not models.MeterDay.objects.exists()
    assert queries.get_blocking_questions(service_point_id=point.pk, **span(10)) == [question]
    assert register.reads.get(state="refused").milli_units == 47_500 * KWH
    with pytest.raises(decide_exceptions.UnableToDecide, match="never billed"):
        decide_exceptions.accept(exception_id=question.pk, user_id=1, reason="fine", now=NOW)
    assert take(20, 48_300).counted_milli_units == 300 * KWH
    question.refresh_from_db()
    assert question.state == "settled"
    assert sum(used(point, 20)) == 300 * KWH


def test_spike_from_firmware_is_not_billed_until_it_is_estimated(
    point: customers_models.ServicePoint, analyst: int
) -> None:
    truth = true_values(30)
    broken = truth.copy()
    broken[500] = 65_535_000
    deliver(point, broken)

    question = only(Kind.SPIKE)
    assert queries.get_blocking_questions(service_point_id=point.pk, **span(30)) == [question]
    assert queries.get_blocking_questions(service_point_id=point.pk, **span(20)) == []
    for days, found in ((30, {point.pk: None}), (18, {})):
        after = FIRST.date() + datetime.timedelta(days=days)
        assert packed.get_whole_multipliers(service_point_ids=[point.pk], first=FIRST.date(), after=after) == found
    decide_exceptions.assign(exception_ids=[question.pk], user_id=analyst)
    decide_exceptions.estimate(exception_id=question.pk, user_id=analyst, reason="Firmware 4.1 bug", now=NOW)

    values = used(point, 30)
    assert values[500] == truth[499] + (truth[501] - truth[499]) // 2
    assert [value for place, value in enumerate(values) if place != 500] == np.delete(truth, 500).tolist()
    assert queries.get_blocking_questions(service_point_id=point.pk, **span(30)) == []
    assert queries.count_estimated(service_point_id=point.pk, **span(30)) == 1
    question.refresh_from_db()
    assert (question.state, question.decided_by_id, question.reason) == ("estimated", analyst, "Firmware 4.1 bug")
    (kept,) = models.MeterDayVersion.objects.all()
    assert 65_535_000 in kept.to_day().milli_units().tolist()
    batch = models.MeterDay.objects.get(local_date=kept.local_date).batch
    assert (batch.format, batch.imported_by_id, batch.reason) == ("estimate", analyst, "Firmware 4.1 bug")
    deliver(point, broken)
    assert used(point, 30) == values
    deliver(point, truth)
    assert used(point, 30) == truth.tolist()


def test_meter_that_jumps_by_a_decimal_point_is_found_and_its_truth_settles_it(
    point: customers_models.ServicePoint,
) -> None:
    truth = true_values(40)
    deliver(point, truth[: 30 * 24])
    broken = truth[30 * 24 :] * 10
    deliver(point, broken, first_hour=30 * 24)

    question = only(Kind.DECIMAL)
    assert question.facts == {"power_of_ten": 1}
    assert question.starts_at == FIRST + datetime.timedelta(days=30)
    assert queries.get_blocking_questions(service_point_id=point.pk, **span(40)) == [question]
    deliver(point, truth[30 * 24 :], first_hour=30 * 24)

    question.refresh_from_db()
    assert question.state == "settled"
    assert used(point, 40) == truth.tolist()
    assert queries.get_blocking_questions(service_point_id=point.pk, **span(40)) == []


def test_month_of_estimates_followed_by_the_truth(point: customers_models.ServicePoint) -> None:
    truth = true_values(60)
    present = np.ones(60 * 24, dtype=bool)
    present[20 * 24 : 50 * 24] = False
    deliver(point, truth, present=present)
    gap = only(Kind.GAP)
    assert gap.facts == {"seconds": 30 * 86_400}

    management.call_command("estimate_gaps", "--utility", point.premise.utility.slug)

    assert len(used(point, 60)) == 60 * 24
    assert queries.count_estimated(service_point_id=point.pk, **span(60)) == 30 * 24
    codes = queries.get_consumption(service_point_id=point.pk, **span(60)).qualities
    assert set(codes[20 * 24 : 50 * 24]) == {units.Quality.LIKE_DAY}
    estimated = sum(used(point, 60))
    assert abs(estimated - int(truth.sum())) < int(truth.sum()) // 20
    deliver(point, truth[20 * 24 : 50 * 24], first_hour=20 * 24)

    assert used(point, 60) == truth.tolist()
    assert queries.count_estimated(service_point_id=point.pk, **span(60)) == 0
    versions = models.MeterDayVersion.objects.all()
    assert sum(int(row.to_day().milli_units().sum()) for row in versions) - int(truth.sum()) < 10**9
    assert versions.filter(batch__format="estimate").count() == 30


def test_edit_is_a_version_with_name_and_reason(point: customers_models.ServicePoint, analyst: int) -> None:
    truth = true_values(30)
    broken = truth.copy()
    broken[500:502] = -7_000
    deliver(point, broken)
    question = only(Kind.NEGATIVE)
    start = int(question.starts_at.timestamp())

    def edit(values: dict[int, int], reason: str = "Read on site") -> None:
        decide_exceptions.edit(exception_id=question.pk, user_id=analyst, reason=reason, values=values, now=NOW)

    for values, reason in (({}, "x"), ({start - 3600: 1}, "x"), ({start + 1: 1}, "x"), ({start: 1}, " ")):
        with pytest.raises(decide_exceptions.UnableToDecide):
            edit(values, reason)
    assert not models.MeterDayVersion.objects.exists()
    edit({start: 111_000, start + 3600: 222_000})

    assert used(point, 30)[500:502] == [111_000, 222_000]
    codes = queries.get_consumption(service_point_id=point.pk, **span(30)).qualities
    assert codes[500:502].tolist() == [units.Quality.EDITED] * 2
    question.refresh_from_db()
    assert (question.state, question.decided_by_id) == ("edited", analyst)
    with pytest.raises(decide_exceptions.UnableToDecide, match="not open"):
        edit({start: 5})
    with pytest.raises(IntegrityError, match="meter_exception_is_decided_by_somebody"):
        models.MeterException.objects.filter(pk=question.pk).update(decided_by=None)


def test_accepted_question_stays_accepted_when_the_same_comes_again(
    point: customers_models.ServicePoint, analyst: int
) -> None:
    broken = true_values(30)
    broken[500] = 65_535_000
    deliver(point, broken)
    decide_exceptions.accept(exception_id=only(Kind.SPIKE).pk, user_id=analyst, reason="A test of the line", now=NOW)

    deliver(point, broken)

    assert queries.get_blocking_questions(service_point_id=point.pk, **span(30)) == []
    assert models.MeterException.objects.count() == 1


def test_two_values_for_one_interval_in_a_delivery_are_asked_about(point: customers_models.ServicePoint) -> None:
    columns = delivery.Columns(
        starts=np.array([1_780_000_200, 1_780_000_200, 1_780_001_100]) // 900 * 900,
        seconds=np.full(3, 900),
        milli_units=np.array([5_000, 6_000, 7_000]),
        qualities=np.full(3, units.Quality.RAW, dtype=np.uint8),
    )
    assembled = delivery.assemble(parts=[columns], name="p")

    assert assembled.series[0].milli_units.tolist() == [6_000, 7_000]
    assert [end - start for start, end in assembled.conflicts] == [900]
    channel = delivery.ChannelReadings(
        "p", "", units.Flow.DELIVERED, units.Unit.WATT_HOUR, assembled.series, conflicts=assembled.conflicts
    )
    ingest_readings.ingest(
        delivered=delivery.Delivery((channel,)),
        sha256=bytes(32),
        source=models.ImportBatch.Format.PUSH,
        utility_id=point.premise.utility_id,
        points={"p": point.pk},
        now=NOW,
    )
    assert only(Kind.DUPLICATE).is_blocking is False


def test_register_only_checks_what_was_measured_and_gives_way_to_it(point: customers_models.ServicePoint) -> None:
    models.Register.objects.create(utility=point.premise.utility, service_point=point, serial="M-1", dials=5)

    def take(day: int, kwh: int) -> None:
        read = take_register_reads.Read(
            service_point=point.number,
            serial="M-1",
            read_at=FIRST + datetime.timedelta(days=day),
            milli_units=kwh * KWH,
        )
        take_register_reads.take(utility_id=point.premise.utility_id, reads=[read], now=NOW)

    take(0, 0)
    take(10, 100)
    assert sum(used(point, 10)) == 100 * KWH
    truth = true_values(20)
    deliver(point, truth)
    assert used(point, 20) == truth.tolist()
    take(20, 400)

    assert used(point, 20) == truth.tolist()
    question = only(Kind.REGISTER)
    assert question.facts == {
        "register_milli_units": 300 * KWH,
        "interval_milli_units": int(truth[10 * 24 :].sum()),
    }
    assert question.is_blocking is False


def test_estimate_needs_something_to_go_by(point: customers_models.ServicePoint, analyst: int) -> None:
    channel = models.Channel.objects.create(
        utility=point.premise.utility,
        service_point=point,
        source="meter",
        flow="delivered",
        unit="Wh",
        time_zone=ZONE.key,
    )
    question = models.MeterException.objects.create(
        utility=point.premise.utility,
        service_point=point,
        channel=channel,
        kind=Kind.GAP,
        is_blocking=False,
        starts_at=FIRST,
        ends_at=FIRST + datetime.timedelta(hours=3),
        found_at=NOW,
    )

    with pytest.raises(decide_exceptions.UnableToDecide, match="Nothing is known"):
        decide_exceptions.estimate(
            exception_id=question.pk, user_id=analyst, reason="x", method=estimation.Method.PROFILE, now=NOW
        )

    assert not models.ImportBatch.objects.exists()
    with db.transaction():
        assert operations.ask(channel=channel, since=0, batch=None, now=NOW) == 0
    source = models.CsvSource(
        utility=point.premise.utility, name="x", time_column="t", value_column="v", time_zone="Mars"
    )
    with pytest.raises(django_exceptions.ValidationError):
        source.full_clean()


def test_gap_that_a_person_decides_meanwhile_is_not_filled_over(
    point: customers_models.ServicePoint, analyst: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = np.ones(24 * 20, dtype=bool)
    present[[100, 300]] = False
    deliver(point, true_values(20), present=present)
    first, second = models.MeterException.objects.filter(kind=Kind.GAP).order_by("starts_at")
    real = decide_exceptions._estimate
    seen: list[bool] = []

    def estimated(**asked: Any) -> packing.Series:
        if not seen:
            seen.append(True)
            models.MeterException.objects.filter(pk=second.pk).update(
                state="accepted", decided_by_id=analyst, decided_at=NOW, reason="The house was without power"
            )
        return real(**asked)

    monkeypatch.setattr(decide_exceptions, "_estimate", estimated)

    assert decide_exceptions.fill_gaps(channel_id=first.channel_id, now=NOW) == 1
    second.refresh_from_db()
    assert second.state == "accepted"
    assert queries.count_estimated(service_point_id=point.pk, **span(20)) == 1
