"""A command reaches its provider once, and ends in one of the ways that it may end."""

import datetime
import decimal

import pytest

from ders import models, operations
from ders.adapters import provider as provider_adapter
from ders.usecases import add_device, deliver_command
from openvpp.core import db, errors
from openvpp.core import models as core_models
from tests.factories import ders

NOW = ders.NOW
D = decimal.Decimal


@pytest.fixture
def command(transactional_db: None) -> models.Command:
    command: models.Command = ders.Command.create()
    return command


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The provider's answer to each attempt, taken from the front; what was sent is put behind."""
    script: list[object] = []

    def send_command(_: object, **kwargs: object) -> None:
        answer = script.pop(0)
        script.append(kwargs["command_id"])
        if isinstance(answer, Exception):
            raise answer

    monkeypatch.setattr(provider_adapter.Client, "send_command", send_command)
    return script


def deliver(command: models.Command, now: datetime.datetime = NOW) -> models.Command:
    deliver_command.deliver(command_id=str(command.pk), now=now)
    command.refresh_from_db()
    return command


def test_a_command_is_sent_once_under_its_own_id(command: models.Command, sent: list[object]) -> None:
    sent.append(None)
    assert (deliver(command).state, deliver(command).attempts) == ("sent", 1)
    assert sent == [command.pk]


def test_a_refusal_is_final(command: models.Command, sent: list[object]) -> None:
    sent.append(errors.Refused("no such device"))
    assert (deliver(command).state, command.detail) == ("refused", "no such device")


def test_an_unreachable_provider_is_tried_again_and_given_up(command: models.Command, sent: list[object]) -> None:
    sent.extend(errors.Unreachable("down") for _ in range(deliver_command.MAX_ATTEMPTS))
    for attempt in range(1, deliver_command.MAX_ATTEMPTS):
        with pytest.raises(errors.Unreachable):
            deliver(command)
        command.refresh_from_db()
        assert (command.state, command.attempts, command.leased_until) == ("queued", attempt, None)
    assert (deliver(command).state, command.detail) == ("failed", "down")


def test_a_lease_admits_one(command: models.Command, sent: list[object]) -> None:
    models.Command.objects.update(leased_until=NOW + datetime.timedelta(seconds=1))
    with pytest.raises(errors.Unreachable):
        deliver(command)
    sent.append(None)
    assert deliver(command, now=NOW + datetime.timedelta(seconds=2)).state == "sent"


def test_a_command_is_not_sent_when_it_is_not_worth_it(command: models.Command, sent: list[object]) -> None:
    with pytest.raises(deliver_command.UnableToDeliverCommand):
        deliver(command, now=command.expires_at)
    deliver_command.expire(command_id=str(command.pk), now=command.expires_at)
    command.refresh_from_db()
    assert (command.state, sent) == ("expired", [])


def test_a_decided_command_does_not_expire(command: models.Command) -> None:
    models.Command.objects.update(state="acknowledged")
    deliver_command.expire(command_id=str(command.pk), now=command.expires_at)
    command.refresh_from_db()
    assert command.state == "acknowledged"


def test_the_same_wish_is_one_command(command: models.Command) -> None:
    for power_kw in (D("1"), D("2")):
        with db.transaction():
            made = operations.send_command(
                device_id=command.device.pk,
                key="wish",
                power_kw=power_kw,
                starts_at=command.starts_at,
                ends_at=command.ends_at,
                expires_at=command.expires_at,
                now=NOW,
            )
    assert made.power_kw == D("1")
    assert models.Command.objects.filter(key="wish").count() == 1
    assert core_models.Job.objects.filter(arguments__command_id=str(made.pk)).count() == 2


def test_a_device_whose_provider_refuses_it_is_refused(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise errors.Refused("unknown serial")

    monkeypatch.setattr(provider_adapter.Client, "register_device", refuse)
    device = ders.Device.create(state="connecting")
    add_device.register(device_id=str(device.pk), now=NOW)
    device.refresh_from_db()
    assert (device.state, device.detail) == ("refused", "unknown serial")


def test_the_providers_word_on_a_device_holds(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    capability = provider_adapter.Capability(kind="battery", power_kw=D("3.3"), energy_kwh=D("6"))
    monkeypatch.setattr(provider_adapter.Client, "register_device", lambda *_, **__: capability)
    device = ders.Device.create(state="connecting", power_kw=D("999"))
    add_device.register(device_id=str(device.pk), now=NOW)
    device.refresh_from_db()
    assert (device.state, device.power_kw, device.energy_kwh) == ("connected", D("3.300"), D("6.000"))
