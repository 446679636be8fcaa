"""Staff see and act on their own utility's operations; keys, bundles and prices are the operator's."""

import datetime
import zoneinfo
from typing import Any

import pytest
from django import db as django_db
from django import test
from django.test import utils
from django.urls import reverse

from contracts.bindings import words
from customers import models as customer_models
from openvpp.core import clock
from relayer import models, queries
from relayer.usecases import count_up, list_operations
from tests.factories import customers
from tests.factories import relayer as rows
from tests.integration.relayer import application as applications
from tests.integration.relayer import delegated
from tests.integration.relayer.conftest import Relayer

PAGES = ("useroperation", "feequote", "bundle", "relayerkey", "tokenprice", "staffaction", "reputation")
LIST = "admin:relayer_useroperation_changelist"
STATUS = "admin:relayer_status"


def client(user: customer_models.User) -> test.Client:
    signed_in = test.Client()
    signed_in.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return signed_in


def operator() -> test.Client:
    return client(customers.User.create(is_staff=True, is_superuser=True))


def staff(utility: customer_models.Utility, role: str) -> test.Client:
    user = customers.User.create(is_staff=True)
    customer_models.StaffRole.objects.create(user=user, utility=utility, role=role)
    return client(user)


def page_of(row: models.UserOperation) -> str:
    return reverse("admin:relayer_useroperation_change", args=[row.hash])


def text(browser: test.Client, address: str, **asked: str) -> str:
    answer = browser.get(address, asked)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_operator_sees_every_page(relayer: Relayer) -> None:
    paid = relayer.pay(relayer.wallet())
    relayer.finish()
    browser = operator()
    banned = {"chain_id": 31337, "entity": rows.address(), "seen": 10_000, "counted_at": clock.get_now()}
    models.Reputation.objects.create(**banned)
    for page in PAGES:
        assert browser.get(reverse(f"admin:relayer_{page}_changelist")).status_code == 200
    assert "banned" in text(browser, reverse("admin:relayer_reputation_changelist"))
    bundle = models.Bundle.objects.get()
    assert browser.get(reverse("admin:relayer_bundle_change", args=[bundle.pk])).status_code == 200
    for page in ("sealedkey", "signaturelog"):
        assert browser.get(reverse(f"admin:custody_{page}_changelist")).status_code == 200

    shown = text(browser, page_of(paid))

    transaction = models.BundleTransaction.objects.get()
    for said in (
        "Pays a bill: 12.345678 devUSD to Tests&#x27;s treasury",
        "Final, succeeded",
        f"Transaction of bundle {bundle.pk}",
        str(transaction.hash),
        "It landed.",
        "Nothing: the utility absorbs it",
        "Signed here, for an account of ours",
    ):
        assert said in shown, said
    assert "Drop" not in shown


def test_a_trace_shows_the_operation_alone_call_by_call(relayer: Relayer) -> None:
    """Two operations share the bundle; the trace of one names its account's calls and not the other's."""
    first, second = (relayer.pay(relayer.wallet(str(number))) for number in range(2))
    browser = operator()
    before = text(browser, page_of(first), trace="1")
    assert "handleOps()" in before or "innerHandleOp()" in before
    relayer.finish()
    shown = text(browser, page_of(first), trace="1")
    for said in ("account factory", "validateUserOp()", "validatePaymasterUserOp()", "payBill()", "transfer()"):
        assert said in shown, said
    assert str(second.sender) not in shown


def test_a_revert_is_decoded_and_its_trace_shows_where(relayer: Relayer) -> None:
    wallet = relayer.wallet(units=1)
    paid = relayer.pay(wallet)
    relayer.finish()
    shown = text(operator(), page_of(paid), trace="1")
    assert "Final, failed" in shown
    assert "ERC20InsufficientBalance" in shown
    assert 'class="bad"' in shown


def test_a_node_without_tracer_or_away_says_so(relayer: Relayer, settings: Any, monkeypatch: Any) -> None:
    paid = relayer.pay(relayer.wallet())
    relayer.finish()
    from relayer.adapters import traces  # noqa: PLC0415 - what is broken here

    monkeypatch.setattr(traces, "_TRACER", {"tracer": "noSuchTracer"})
    assert "The node cannot trace this" in text(operator(), page_of(paid), trace="1")
    settings.CHAIN_RPC_URL = "http://127.0.0.1:1"
    assert "The node did not answer" in text(operator(), page_of(paid), trace="1")
    shown = text(operator(), reverse(STATUS))
    assert "No node answers" in shown
    assert "not known" in shown


def test_what_an_application_sent_names_it(relayer: Relayer) -> None:
    app = applications.make(relayer)
    account = applications.open_account(app)
    sent = account.signed(account.sponsored(account.operation()))
    app.call("eth_sendUserOperation", sent, applications.ENTRY_POINT)
    row = models.UserOperation.objects.get()
    shown = text(operator(), page_of(row))
    assert "Application Tests" in shown
    assert "Transfers 0.000001 devUSD to" in shown
    assert "1 contracts, read again" in shown or "1 contract" in shown


def test_staff_see_the_operations_of_their_utility_alone(relayer: Relayer) -> None:
    row = rows.make_operation(utility=relayer.utility)
    ours, other = staff(relayer.utility, "csr"), staff(customers.Utility.create(), "csr")
    assert ours.get(page_of(row)).status_code == 200
    assert str(row.hash) in text(ours, reverse(LIST))
    assert str(row.hash) not in text(other, reverse(LIST))
    assert str(row.hash) not in text(other, reverse(LIST), q=str(row.hash)).replace(f'value="{row.hash}"', "")
    assert other.get(page_of(row)).status_code == 302
    assert "Queued by age" not in text(other, reverse(STATUS))
    assert str(models.RelayerKey.objects.get().address) not in text(ours, reverse(STATUS))
    assert str(models.RelayerKey.objects.get().address) in text(operator(), reverse(STATUS))
    for page in ("bundle", "relayerkey", "tokenprice", "staffaction", "reputation"):
        assert ours.get(reverse(f"admin:relayer_{page}_changelist")).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_only_an_administrator_acts_and_only_with_a_reason() -> None:
    row = rows.make_operation(leased_until=clock.get_now() + datetime.timedelta(minutes=5))
    utility, key = row.utility, rows.make_key()
    drop = reverse("admin:relayer_operation_act", args=[row.hash, "drop"])
    retry = reverse("admin:relayer_operation_act", args=[row.hash, "retry"])
    pause = reverse("admin:relayer_utility_act", args=[utility.pk, "pause"])
    resume = reverse("admin:relayer_utility_act", args=[utility.pk, "resume"])
    drain = reverse("admin:relayer_key_act", args=[key.pk, "drain"])
    back = reverse("admin:relayer_key_act", args=[key.pk, "bring-back"])
    administrator, csr = staff(utility, "administrator"), staff(utility, "csr")
    stranger = staff(customers.Utility.create(), "administrator")
    for address in (drop, retry, pause, resume, drain, back):
        for browser in (csr, stranger):
            assert browser.post(address, {"reason": "I want to"}).status_code == 403
        nobody = test.Client().post(address, {"reason": "I want to"})
        assert (nobody.status_code, "login" in nobody["Location"]) == (302, True)
    assert administrator.post(drain, {"reason": "I want to"}).status_code == 403
    assert administrator.post(drop, {"reason": "  "}).status_code == 200
    row.refresh_from_db()
    assert (row.state, models.StaffAction.objects.count()) == ("queued", 0)

    assert administrator.post(retry, {"reason": "Node is back"}).status_code == 302
    assert administrator.post(drop, {"reason": "Asked by phone"}).status_code == 302
    assert administrator.post(pause, {"reason": "Leaked key"}).status_code == 302
    assert queries.is_paused(utility_id=utility.pk)
    assert administrator.post(resume, {"reason": "Revoked"}).status_code == 302
    assert "It is the last key in use" in text(operator(), drain)
    assert operator().post(drain, {"reason": "Rotation"}).status_code == 302
    assert operator().post(back, {"reason": "Done"}).status_code == 302

    row.refresh_from_db()
    assert (row.state, row.failure) == ("failed", "Dropped by the utility's staff: Asked by phone")
    assert list(models.StaffAction.objects.order_by("pk").values_list("kind", flat=True)) == [
        "retry",
        "drop",
        "pause",
        "resume",
        "drain",
        "bring_back",
    ]
    assert "Asked by phone" in text(administrator, page_of(row))
    assert "Asked by phone" in text(administrator, reverse(STATUS))
    assert "The operation is over." in administrator.get(drop).content.decode()


@pytest.mark.django_db(transaction=True)
def test_what_was_broadcast_says_why_it_cannot_be_dropped() -> None:
    row = rows.make_operation(broadcast_at=clock.get_now(), state="bundled")
    shown = text(operator(), reverse("admin:relayer_operation_act", args=[row.hash, "drop"]))
    assert "it ends only when the chain takes it" in shown
    assert "<textarea" not in shown


@pytest.mark.django_db(transaction=True)
def test_the_list_goes_page_by_page_through_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_operations, "ROWS", 3)
    utility, same = customers.Utility.create(), clock.get_now()
    made = {str(rows.make_operation(utility=utility, created_at=same).hash) for _ in range(7)}
    browser, address, seen = operator(), reverse(LIST), []
    while address:
        answer = browser.get(address)
        seen += [str(row.hash) for row in answer.context["page"].operations]
        address = reverse(LIST) + answer.context["next"] if answer.context["next"] else ""
    assert (len(seen), set(seen)) == (7, made)


@pytest.mark.django_db(transaction=True)
def test_the_list_is_filtered_and_searched() -> None:
    now, bundle = clock.get_now(), rows.make_bundle(key=rows.make_key())
    old = rows.make_operation(state="failed", created_at=now - datetime.timedelta(days=3), validation="fast")
    new = rows.make_operation(bundle=bundle, state="bundled")
    today = now.astimezone(zoneinfo.ZoneInfo(new.utility.time_zone)).date()

    def found(**asked: str) -> list[str]:
        answer = operator().get(reverse(LIST), asked)
        return [str(row.hash) for row in answer.context["page"].operations]

    assert found() == [new.hash, old.hash]
    assert found(state="failed") == found(validation="fast") == [old.hash]
    assert found(utility=str(new.utility_id)) == found(since=today.isoformat()) == [new.hash]
    assert found(until=(today - datetime.timedelta(days=2)).isoformat()) == [old.hash]
    assert found(asked_by="own") == [new.hash, old.hash]
    assert found(asked_by="applications") == []
    assert found(q=str(old.hash)) == found(q=str(old.sender)) == [old.hash]
    assert found(q=str(bundle.transactions.get().hash)) == [new.hash]
    assert found(q=rows.hash_()) == found(q="harbor") == []
    assert "neither a hash" in text(operator(), reverse(LIST), q="harbor")
    assert found(after="nonsense", state="nonsense") == [new.hash, old.hash]


@pytest.mark.django_db(transaction=True)
def test_no_query_of_the_list_reads_or_counts_all_operations() -> None:
    """Each query of the page is answered by an index, in the order of the index."""
    template = rows.make_operation()
    varied = {
        "hash": "decode(md5(n::text) || md5((-n)::text), 'hex')",
        "created_at": "now() - n * interval '1 second'",
        "state": "CASE WHEN n %% 20 = 0 THEN 'failed' ELSE 'succeeded' END",
    }
    columns = [str(field.column) for field in models.UserOperation._meta.concrete_fields]
    chosen = ", ".join(varied.get(name, name) for name in columns)
    with django_db.connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO relayer_useroperation ({', '.join(columns)}) "
            f"SELECT {chosen} FROM relayer_useroperation, generate_series(1, 20000) AS n WHERE hash = %s",
            [bytes.fromhex(str(template.hash)[2:])],
        )
        cursor.execute("ANALYZE relayer_useroperation")
    browser = operator()
    for asked, may_sort in (
        ({}, False),
        ({"state": "failed"}, False),
        ({"state": "queued"}, True),
        ({"state": "mined"}, True),
        ({"q": "0x" + "12" * 32}, True),
        ({"q": "0x" + "12" * 20}, True),
    ):
        with utils.CaptureQueriesContext(django_db.connection) as captured:
            assert browser.get(reverse(LIST), asked).status_code == 200
        queries_ = [str(query["sql"]) for query in captured if 'FROM "relayer_useroperation"' in str(query["sql"])]
        assert queries_ or asked == {"state": "mined"}
        for sql in queries_:
            assert "COUNT(" not in sql
            with django_db.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}")
                plan = "\n".join(str(line) for (line,) in cursor.fetchall())
            assert "Seq Scan on relayer_useroperation" not in plan, plan
            assert may_sort or "Sort" not in plan, plan


@pytest.mark.django_db(transaction=True)
def test_the_state_of_the_relayer_is_shown_when_it_is_empty_and_when_it_is_not(settings: Any) -> None:
    settings.CHAIN_RPC_URL = "http://127.0.0.1:1"
    browser = operator()
    empty = text(browser, reverse(STATUS))
    for said in ("There is no key yet", "Everything that was sent is final", "Nothing was read yet", "No utility"):
        assert said in empty, said
    now, utility = clock.get_now(), customers.Utility.create()
    key = rows.make_key(leased_by="relay-7", leased_until=now + datetime.timedelta(minutes=1))
    bundle = rows.make_bundle(key=key, nonce=4)
    rows.make_operation(utility=utility, created_at=now - datetime.timedelta(minutes=20))
    rows.make_operation(utility=utility, state="bundled", bundle=bundle)
    models.RecentCount.objects.create(name=count_up.REFUSED, label="-32504", minute=now, count=3)
    models.Balance.objects.create(
        chain_id=31337,
        kind="budget",
        name=utility.slug,
        wei=9 * 10**17,
        limit_wei=10**18,
        spent_wei=10**17,
        read_at=now - datetime.timedelta(hours=1),
    )
    full = text(browser, reverse(STATUS))
    for said in ("relay-7", "over 10 min", "20 min", "-32504 throttled", "0.1 of 1.0 coin", "These are old"):
        assert said in full, said


@pytest.mark.django_db(transaction=True)
def test_an_end_that_its_taker_has_not_heard_is_said_and_told_at_once() -> None:
    row = rows.make_operation(state="succeeded")
    later = clock.get_now() + datetime.timedelta(minutes=5)
    models.OperationNews.objects.create(
        user_operation=row, state="succeeded", made_at=row.created_at, attempts=7, not_before=later
    )
    browser = operator()
    shown = text(browser, page_of(row))
    assert "has not heard of 1 of these steps; telling failed 7 times" in shown
    retry = reverse("admin:relayer_operation_act", args=[row.hash, "retry"])
    assert retry in shown
    assert browser.post(retry, {"reason": "The taker is mended"}).status_code == 302
    assert models.OperationNews.objects.get().not_before is None


def test_a_first_operation_with_a_delegation_is_traced_as_if_it_had_come_about(relayer: Relayer) -> None:
    app = applications.make(relayer)
    delegate = applications.simple_7702_account(relayer.chain)
    account = delegated.Account(application=app, delegate=delegate)
    relayer.chain.give(account.address, 1_000)
    app.call("eth_sendUserOperation", account.sent(authorization=account.authorization()), applications.ENTRY_POINT)
    row = models.UserOperation.objects.get()

    shown = text(operator(), page_of(row), trace="1")

    assert words.checksummed(delegate) in shown
    assert "Deployed by" not in shown
    assert "validateUserOp()" in shown
    assert "transfer()" in shown
