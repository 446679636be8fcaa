"""Signed readings at the push door: kept with their signature, or refused by name with nothing stored."""

import datetime
import decimal
import io
import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from django import test as django_test
from django.core import management

from customers import models as customers_models
from meters import models, operations
from meters.domain import signed_readings
from tests.factories import customers
from tests.integration.meters.conftest import client

START = int(datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC).timestamp())


class Device:
    """A meter with a key of its own."""

    def __init__(self, point: customers_models.ServicePoint, *, required: bool = False) -> None:
        self.point = point
        self.private = ed25519.Ed25519PrivateKey.generate()
        out = io.StringIO()
        management.call_command(
            "register_reading_key",
            f"--utility={point.premise.utility.slug}",
            f"--service-point={point.number}",
            "--device=M-1",
            "--algorithm=ed25519",
            f"--public-key={self.private.public_key().public_bytes_raw().hex()}",
            *(["--required"] if required else []),
            stdout=out,
        )
        self.key = out.getvalue().strip()

    def row(self, *, counter: int = 1, values: tuple[str, ...] = ("0.25", "0.5"), **sent: Any) -> dict[str, Any]:
        """Return a row that is signed as it is; what is in `sent` is changed afterwards."""
        signed = signed_readings.Reading(
            utility=self.point.premise.utility.slug,
            service_point=self.point.number,
            flow="delivered",
            unit="kWh",
            quality="raw",
            starts=START,
            interval_seconds=900,
            counter=counter,
            values=[decimal.Decimal(value) for value in values],
        )
        return {
            "service_point": self.point.number,
            "starts_at": datetime.datetime.fromtimestamp(START, tz=datetime.UTC).isoformat(),
            "interval_seconds": 900,
            "values": list(values),
            "signature": {
                "key": self.key,
                "counter": counter,
                "signature": self.private.sign(signed.to_bytes()).hex(),
            },
        } | sent


@pytest.fixture
def point(transactional_db: None) -> customers_models.ServicePoint:
    made: customers_models.ServicePoint = customers.ServicePoint.create()
    return made


def push(point: customers_models.ServicePoint, *rows: dict[str, Any]) -> list[tuple[str, str]]:
    system = client(user=None, scope="usage:write", utility=point.premise.utility)
    answer = system.post(
        "/api/v1/meter-readings/",
        {"readings": list(rows)},
        format="json",
        headers={"Idempotency-Key": secrets.token_hex(8)},
    )
    assert answer.status_code == 200, answer.json()
    return [(row["status"], row["code"]) for row in answer.json()["rows"]]


def test_a_signed_reading_is_stored_with_its_signature(point: customers_models.ServicePoint) -> None:
    device = Device(point)
    row = device.row()

    assert push(point, row) == [("accepted", "")]

    kept = models.SignedReading.objects.get()
    assert bytes(kept.signature).hex() == row["signature"]["signature"]
    assert signed_readings.is_genuine(
        algorithm=signed_readings.Algorithm.ED25519,
        public_key=bytes(kept.key.public_key),
        message=bytes(kept.message),
        signature=bytes(kept.signature),
    )
    assert (kept.starts_at.timestamp(), kept.ends_at.timestamp()) == (START, START + 1800)
    assert push(point, row) == [("accepted", "")]
    assert models.SignedReading.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"values": ["0.25", "0.4"]}, "forged"),
        ({"starts_at": "2026-05-02T00:00:00Z"}, "forged"),
        ({"quality": "valid"}, "forged"),
        ({"signature": None}, "unsigned"),
        ({"values": ["0.25", "0.0000001"]}, "unsignable"),
    ],
)
def test_what_the_device_did_not_sign_is_refused(
    point: customers_models.ServicePoint, change: dict[str, Any], code: str
) -> None:
    device = Device(point, required=True)

    assert push(point, device.row() | change) == [("rejected", code)]
    assert models.MeterDay.objects.count() == models.SignedReading.objects.count() == 0


def test_an_older_reading_does_not_come_back(point: customers_models.ServicePoint) -> None:
    device = Device(point)
    first, corrected = device.row(counter=5), device.row(counter=9, values=("0.1", "0.1"))
    assert push(point, first) == push(point, corrected) == [("accepted", "")]

    assert push(point, first) == [("rejected", "replayed")]
    assert push(point, device.row(counter=9, values=("0.9", "0.9"))) == [("rejected", "replayed")]
    assert push(point, device.row(counter=7, values=("0.9", "0.9"))) == [("rejected", "replayed")]
    (day,) = models.MeterDay.objects.all()
    assert sum(day.to_day().milli_units().tolist()) == 200_000


def test_keys_of_others_and_ended_keys_are_unknown(point: customers_models.ServicePoint) -> None:
    device = Device(point)
    neighbour = Device(customers.ServicePoint.create(premise=point.premise))
    stolen = device.row() | {"signature": device.row()["signature"] | {"key": neighbour.key}}

    assert push(point, stolen) == [("rejected", "unknown_key")]
    staff = customers.StaffRole.create(utility=point.premise.utility, role="administrator").user
    browser = django_test.Client()
    browser.force_login(staff)
    ids = list(models.ReadingKey.objects.filter(service_point=point).values_list("pk", flat=True))
    browser.post("/admin/meters/readingkey/", {"action": "end_keys", "_selected_action": ids})
    assert push(point, device.row()) == [("rejected", "unknown_key")]
    assert models.MeterDay.objects.count() == 0


def test_good_rows_are_stored_beside_bad_ones(point: customers_models.ServicePoint) -> None:
    device = Device(point)
    plain = customers.ServicePoint.create(premise=point.premise)
    unsigned = {key: value for key, value in device.row().items() if key != "signature"} | {
        "service_point": plain.number
    }

    assert push(point, device.row(values=("0.3", "0.3")) | {"values": ["9", "9"]}, unsigned) == [
        ("rejected", "forged"),
        ("accepted", ""),
    ]
    assert models.MeterDay.objects.filter(channel__service_point=plain).count() >= 1
    assert models.MeterDay.objects.filter(channel__service_point=point).count() == 0


def test_a_key_is_registered_once_and_must_be_one(point: customers_models.ServicePoint) -> None:
    device = Device(point)
    public_key = device.private.public_key().public_bytes_raw().hex()
    arguments = [f"--utility={point.premise.utility.slug}", f"--service-point={point.number}", "--device=M"]

    for key, words in ((public_key, "registered already"), ("00", "no ed25519"), ("zz", "not hex")):
        with pytest.raises(management.CommandError, match=words):
            management.call_command("register_reading_key", *arguments, "--algorithm=ed25519", f"--public-key={key}")
    assert models.ReadingKey.objects.count() == 1


def test_register_reads_do_not_pass_by_the_device(point: customers_models.ServicePoint) -> None:
    Device(point, required=True)
    register = models.Register.objects.create(utility=point.premise.utility, service_point=point, serial="M-1")
    read = {"service_point": point.number, "serial": "M-1", "read_at": "2026-05-01T12:00:00Z", "value_kwh": "5"}
    system = client(user=None, scope="usage:write", utility=point.premise.utility)

    answer = system.post(
        "/api/v1/meter-register-reads/", {"reads": [read]}, format="json", headers={"Idempotency-Key": "one"}
    )

    assert answer.json()["rows"][0]["code"] == "unsigned"
    assert register.reads.count() == 0


def test_a_correction_that_came_meanwhile_is_not_undone(
    point: customers_models.ServicePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(point)
    older, newer = device.row(counter=5), device.row(counter=9, values=("0.1", "0.1"))
    check, answers = operations.check_signature, []

    def overtaken(**asked: Any) -> Any:
        believed = check(**asked)
        monkeypatch.setattr(operations, "check_signature", check)
        answers.append(push(point, newer))
        return believed

    monkeypatch.setattr(operations, "check_signature", overtaken)

    assert push(point, older) == [("rejected", "replayed")]
    assert answers == [[("accepted", "")]]
    (day,) = models.MeterDay.objects.all()
    assert sum(day.to_day().milli_units().tolist()) == 200_000
