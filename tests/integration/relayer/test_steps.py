"""One operation's hash can be followed through the logs of every process, from receipt to settlement."""

import json
import logging
import sys

import pytest

from openvpp.core import clock, steps
from relayer import models, operations
from relayer.domain import wire
from relayer.usecases import drain_key, pause_utility
from tests.factories import customers
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer


def followed(caplog: pytest.LogCaptureFixture, hash_: str) -> list[str]:
    """Return the steps that name an operation."""
    lines = [record for record in caplog.records if record.name == "openvpp.steps"]
    return [record.facts["step"] for record in lines if record.facts.get("operation") == hash_]  # type: ignore[attr-defined] # ours


def test_an_operation_of_an_application_is_followed_from_the_door_to_its_end(
    relayer: Relayer, caplog: pytest.LogCaptureFixture
) -> None:
    app = applications.make(relayer)
    account = applications.open_account(app)
    sent = account.signed(account.sponsored(account.operation()))
    caplog.set_level(logging.INFO, logger="openvpp.steps")

    hash_ = app.call("eth_sendUserOperation", sent, applications.ENTRY_POINT)
    relayer.finish()

    assert followed(caplog, hash_) == ["received", "bundled", "mined", "succeeded"]
    bundle = models.Bundle.objects.get()
    assert f"step=sent bundle={bundle.pk} transaction={bundle.transaction_hash}" in caplog.text
    for secret in (app.token, sent["signature"][2:], sent["callData"][2:]):
        assert secret not in caplog.text


def test_an_operation_of_ours_is_followed_from_the_signer_to_its_end(
    relayer: Relayer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="openvpp.steps")
    paid = relayer.pay(relayer.wallet())
    relayer.finish()
    assert followed(caplog, str(paid.hash)) == ["signed", "queued", "bundled", "mined", "succeeded"]
    assert list(paid.history.exclude(bundle=None).values_list("state", flat=True)) == ["bundled", "mined", "succeeded"]


def test_a_refused_operation_is_followed_too(relayer: Relayer, caplog: pytest.LogCaptureFixture) -> None:
    app = applications.make(relayer)
    account = applications.open_account(app)
    sent = account.signed(account.operation()) | {"signature": "0x00" + "01" * 64 + "1b"}
    caplog.set_level(logging.INFO, logger="openvpp.steps")
    assert app.code("eth_sendUserOperation", sent, applications.ENTRY_POINT) < 0
    (line,) = [record.getMessage() for record in caplog.records if "step=refused" in record.getMessage()]
    assert "code=-325" in line


def test_as_json_each_fact_has_its_name() -> None:
    record = logging.LogRecord("openvpp.steps", logging.INFO, "", 0, "step=mined", None, None)
    record.facts = {"step": "mined", "operation": "0x12", "bundle": 4}
    line = json.loads(steps.JsonFormatter().format(record))
    assert (line["step"], line["operation"], line["bundle"], line["level"]) == ("mined", "0x12", "4", "INFO")
    try:
        int("why")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "said %s", ("this",), sys.exc_info())
    line = json.loads(steps.JsonFormatter().format(record))
    assert line["message"] == "said this"
    assert "ValueError: invalid literal" in line["exception"]


def test_words_with_blanks_are_quoted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="openvpp.steps")
    steps.note("set_aside", operation="0x12", reason='AA25 "nonce"', bundle=None)
    assert caplog.messages == ['step=set_aside operation=0x12 reason="AA25 \\"nonce\\""']


def test_a_paused_utility_gets_no_new_operation_in_and_ends_what_is_under_way(relayer: Relayer) -> None:
    app = applications.make(relayer)
    first, second = applications.open_account(app), applications.open_account(app)
    sent, late = (each.signed(each.sponsored(each.operation())) for each in (first, second))
    draft = wire.write_operation(first.operation())
    wallet, by = relayer.wallet(), customers.StaffUser.create()
    app.call("eth_sendUserOperation", sent, applications.ENTRY_POINT)

    pause_utility.pause(utility_id=relayer.utility.pk, by=by, reason="Leaked key", now=clock.get_now())

    chain_id = hex(relayer.chain.chain_id)
    assert app.code("eth_sendUserOperation", late, applications.ENTRY_POINT) == -32_002
    assert app.code("pm_getPaymasterData", draft, applications.ENTRY_POINT, chain_id) == -32_002
    with pytest.raises(operations.UnableToQuoteFee) as refused:
        relayer.pay(wallet)
    assert refused.value.code == "utility_paused"
    relayer.finish()
    assert list(models.UserOperation.objects.values_list("state", flat=True)) == ["succeeded"]
    pause_utility.resume(utility_id=relayer.utility.pk, by=by, reason="Revoked", now=clock.get_now())
    app.call("eth_sendUserOperation", late, applications.ENTRY_POINT)


def test_a_draining_key_ends_its_bundles_and_sends_no_new_one(relayer: Relayer) -> None:
    first = relayer.pay(relayer.wallet("1"))
    relayer.turn()
    key, by = models.RelayerKey.objects.get(), customers.StaffUser.create()
    drain_key.drain(key_id=key.pk, by=by, reason="Rotation", now=clock.get_now())
    second = relayer.pay(relayer.wallet("2"))

    relayer.finish()

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("succeeded", "queued")
    assert drain_key.disable_drained() == 1
    drain_key.bring_back(key_id=key.pk, by=by, reason="Done", now=clock.get_now())
    relayer.finish()
    second.refresh_from_db()
    assert second.state == "succeeded"


@pytest.mark.parametrize("reason", ["a\rstep=mined", "\x1b[2J", "a\u2028b", "a\nb"])
def test_what_an_account_says_moves_no_cursor_and_begins_no_line(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    caplog.set_level(logging.INFO, logger="openvpp.steps")
    steps.note("refused", reason=reason)
    assert caplog.messages == [f"step=refused reason={json.dumps(reason)}"]
    assert caplog.messages[0].isprintable()
