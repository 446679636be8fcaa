"""The relayer's metrics as a scraper reads them: right, in the format, and cheap however many operations there are."""

import datetime
from typing import Any

import pytest
from django import db as django_db
from django import test
from django.test import utils
from prometheus_client.openmetrics import parser

from openvpp.core import clock, tally
from relayer import models
from relayer.usecases import count_up, drain_key, pause_utility
from tests.factories import customers
from tests.factories import relayer as rows

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    tally.take()
    monkeypatch.setattr(count_up, "_written_at", float("-inf"))


def scrape(client: test.Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = list(parser.text_string_to_metric_families(answer.content.decode()))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: dict[Any, float], metric: str, /, **labels: str) -> float:
    return found[f"openvpp_{metric}", tuple(sorted(labels.items()))]


def settle(row: models.UserOperation, *, bundle: models.Bundle, after_s: float, is_good: bool = True) -> None:
    """Let an operation be mined `after_s` after it came in, and final."""
    mined_at = row.created_at + datetime.timedelta(seconds=after_s)
    row.bundle, row.state, row.gas_cost_wei = bundle, "succeeded" if is_good else "failed", 10**15
    row.save()
    for state in ("bundled", "mined", row.state):
        models.UserOperationTransition.objects.create(user_operation=row, state=state, made_at=mined_at)


def test_a_scrape_says_how_pool_bundles_and_keys_stand(client: test.Client) -> None:
    now = clock.get_now()
    key, draining = rows.make_key(leased_by="relay-1", leased_until=now + MINUTE), rows.make_key()
    person, utility = customers.StaffUser.create(), customers.Utility.create()
    bundle = rows.make_bundle(key=key, created_at=now - MINUTE)
    rows.make_operation(created_at=now - 2 * MINUTE)
    rows.make_operation(leased_until=now + MINUTE)
    rows.make_operation(state="bundled", bundle=bundle)
    rows.make_operation(state="failed")
    drain_key.drain(key_id=draining.pk, by=person, reason="Rotation", now=now)
    pause_utility.pause(utility_id=utility.pk, by=person, reason="Leaked key", now=now)
    models.Balance.objects.create(
        chain_id=31337, kind="budget", name="harbor", wei=10**18, limit_wei=10**17, spent_wei=4 * 10**16, read_at=now
    )

    found = scrape(client)

    assert value(found, "user_operations", state="queued") == 2
    assert value(found, "user_operations", state="bundled") == 1
    assert value(found, "user_operations", state="mined") == 0
    assert value(found, "relayer_operations_set_aside") == 1
    assert 120 <= value(found, "relayer_oldest_queued_seconds") < 180
    assert value(found, "relayer_bundles", state="pending") == 1
    assert 60 <= value(found, "relayer_oldest_pending_seconds") < 120
    assert value(found, "relayer_most_transactions") == 1
    assert value(found, "relayer_keys", state="held") == 1
    assert value(found, "relayer_keys", state="draining") == 1
    assert value(found, "relayer_utilities_paused") == 1
    assert value(found, "relayer_balance_wei", kind="budget", name="harbor") == 1e18
    assert value(found, "relayer_budget_left_today_wei", name="harbor") == 6e16


def test_counters_are_read_off_the_history_and_count_each_step_once(client: test.Client) -> None:
    then = clock.get_now() - 5 * MINUTE
    bundle = rows.make_bundle(
        key=rows.make_key(),
        gas_used=300_000,
        state="final",
        block_number=1,
        block_hash=rows.hash_(),
        transaction_hash=rows.hash_(),
    )
    for number in range(2):
        models.BundleTransaction.objects.create(
            hash=rows.hash_(),
            bundle=bundle,
            raw=b"",
            max_fee_per_gas_wei=1,
            max_priority_fee_per_gas_wei=1,
            created_at=then,
        )
        settle(rows.make_operation(created_at=then), bundle=bundle, after_s=1.2 + 10 * number, is_good=not number)
    back = rows.make_operation(created_at=then)
    models.UserOperationTransition.objects.create(
        user_operation=back, state="bundled", detail="Block 7 left the chain.", made_at=then
    )
    rows.make_operation()  # too young to be counted

    for _ in range(2):
        found = scrape(client)
        assert value(found, "relayer_operations_accepted_total", by="own") == 3
        assert value(found, "relayer_operations_ended_total", state="succeeded") == 1
        assert value(found, "relayer_operations_ended_total", state="failed") == 1
        assert value(found, "relayer_operations_reorganised_total") == 1
        assert value(found, "relayer_replacements_total") == 2
        assert value(found, "relayer_gas_cost_wei_total", paid_by="own") == 2e15
        assert value(found, "relayer_inclusion_seconds_bucket", le="1.0") == 0
        assert value(found, "relayer_inclusion_seconds_bucket", le="1.5") == 1
        assert value(found, "relayer_inclusion_seconds_bucket", le="+Inf") == 2
        assert value(found, "relayer_inclusion_seconds_sum") == pytest.approx(12.4)
        assert value(found, "relayer_bundle_operations_bucket", le="2.0") == 1
        assert value(found, "relayer_bundle_gas_bucket", le="500000.0") == 1


def test_a_bundle_is_one_bundle_however_little_is_counted_at_once(
    client: test.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count_up, "MOST_AT_ONCE", 5)
    then = clock.get_now() - 5 * MINUTE
    for number in range(3):
        made = then + datetime.timedelta(seconds=number)
        bundle = rows.make_bundle(key=None, gas_used=100, created_at=made)
        members = [rows.make_operation(created_at=made, bundle=bundle, state="succeeded") for _ in range(3)]
        models.UserOperationTransition.objects.bulk_create(
            models.UserOperationTransition(user_operation=each, state="succeeded", bundle=bundle, made_at=made + MINUTE)
            for each in members
        )

    found = scrape(client)

    assert value(found, "relayer_operations_ended_total", state="succeeded") == 9
    assert value(found, "relayer_bundle_operations_bucket", le="+Inf") == 3
    assert value(found, "relayer_bundle_operations_sum") == 9


def test_what_leaves_no_row_is_counted_in_memory_and_written_down(client: test.Client) -> None:
    tally.note(count_up.REFUSED, "-32504")
    tally.note(count_up.REFUSED, "-32504")
    tally.note("node_errors", "node 2")
    tally.note_seconds("signer_seconds", 0.02)

    found = scrape(client)

    assert value(found, "relayer_operations_refused_total", code="-32504") == 2
    assert value(found, "relayer_node_errors_total", node="node 2") == 1
    assert value(found, "relayer_signer_seconds_bucket", le="0.025") == 1
    assert value(found, "relayer_signer_seconds_bucket", le="0.01") == 0
    assert models.RecentCount.objects.get(name=count_up.REFUSED).count == 2
    count_up.forget_old(now=clock.get_now() + datetime.timedelta(days=2))
    assert not models.RecentCount.objects.exists()


def test_what_could_not_be_written_down_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    tally.note(count_up.REFUSED, "-32504")

    def fail(*_: object, **__: object) -> None:
        raise django_db.OperationalError("gone")

    monkeypatch.setattr(count_up, "_add", fail)
    count_up.write_down(now=clock.get_now())
    assert tally.take() == {("refused", "-32504"): 1}


def test_no_query_of_a_scrape_reads_all_operations(client: test.Client) -> None:
    for _ in range(3):
        rows.make_operation(state="succeeded")
    with utils.CaptureQueriesContext(django_db.connection) as captured:
        scrape(client)
    asked = [query["sql"] for query in captured if 'relayer_useroperation"' in query["sql"]]
    assert len(asked) >= 3
    with django_db.connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        for sql in asked:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on relayer_useroperation " not in plan, plan
        cursor.execute("RESET enable_seqscan")
