"""The signer over HTTP, with PostgreSQL behind it."""

import dataclasses
import os
import pathlib
import threading

import httpx
import pytest
from django import db as django_db

from contracts import deployments
from contracts.bindings import sessions, words
from custody import models, operations, queries
from custody.domain import consents, intents, keys, policies, sealing, transactions
from custody.usecases import change_payee, rewrap_keys, sign
from openvpp.core import clock, db, errors
from tests import custody_fixture, signer_fixture

CHAIN_ID = 31337
ACCOUNT = bytes.fromhex("11" * 20)
PAYEE = bytes.fromhex("22" * 20)
TOKEN = bytes.fromhex("33" * 20)
ENTRY_POINT = bytes.fromhex("4337084D9E255Ff0702461CF8895CE9E3b5Ff108")


def session_policy(**changes: object) -> dict[str, object]:
    return {
        "chain_id": CHAIN_ID,
        "account": "0x" + ACCOUNT.hex(),
        "payee": "0x" + PAYEE.hex(),
        "token": "0x" + TOKEN.hex(),
        "fee_token": "0x" + "00" * 20,
        "max_per_payment_units": 100,
        "max_per_period_units": 200,
        "max_total_units": 2**90,
        "max_fee_units": 5,
        "max_fee_in_fee_token_units": 0,
        "starts_at": 1_700_000_000,
        "ends_at": 4_000_000_000,
        "period_seconds": 86400,
        "salt": 7,
    } | changes


def relayer_key(subject: str = "relayer:1") -> models.SealedKey:
    return operations.create_key(
        purpose="relayer",
        subject=subject,
        policy={"chain_id": CHAIN_ID, "entry_point": "0x" + ENTRY_POINT.hex(), "max_cost_wei": 10**18},
    )


def test_create_key_is_idempotent_by_subject_and_refuses_another_policy(signer: str) -> None:
    first = operations.create_key(purpose="session", subject="grant:1", policy=session_policy())
    again = operations.create_key(purpose="session", subject="grant:1", policy=session_policy())
    assert first.pk == again.pk
    assert queries.session_policy(key=first).max_total_units == 2**90
    assert queries.session_policy(key=first).key == words.parse_address(str(first.address))
    with pytest.raises(operations.UnableToCreateKey) as refusal:
        operations.create_key(purpose="session", subject="grant:1", policy=session_policy(max_total_units=2**91))
    assert refusal.value.code == "subject_taken"
    assert models.SealedKey.objects.count() == 1


def test_a_policy_with_an_unknown_field_makes_no_key(signer: str) -> None:
    with pytest.raises(operations.UnableToCreateKey) as refusal:
        operations.create_key(purpose="session", subject="grant:1", policy=session_policy(anything=1))
    assert refusal.value.code == "bad_policy"
    assert models.SealedKey.objects.count() == 0


def bundle(key: models.SealedKey, **changes: object) -> transactions.Transaction:
    handle_ops = bytes.fromhex("765e827f") + words.uint(64) + words.address(words.parse_address(str(key.address)))
    fields: dict[str, object] = {
        "chain_id": CHAIN_ID,
        "nonce": 0,
        "max_priority_fee_per_gas_wei": 1,
        "max_fee_per_gas_wei": 10**9,
        "gas_limit": 10**6,
        "to": ENTRY_POINT,
        "value_wei": 0,
        "data": handle_ops + words.uint(0),
    }
    return transactions.Transaction(**(fields | changes))  # type: ignore[arg-type]


def test_a_relayer_key_signs_a_bundle_and_each_signature_stands_in_its_log(signer: str) -> None:
    key = relayer_key()
    for nonce in range(3):
        transaction = bundle(key, nonce=nonce)
        raw = operations.sign_transaction(key_id=key.pk, transaction=transaction)
        entry = models.SignatureLog.objects.get(key=key, sequence=nonce + 1)
        assert entry.digest == "0x" + transaction.digest().hex()
        assert entry.statement["nonce"] == nonce
        assert raw[:1] == b"\x02"
    assert queries.first_broken_link(key=key) is None


def test_a_refusal_tells_its_rule_and_logs_no_signature(signer: str) -> None:
    key = relayer_key()
    with pytest.raises(operations.UnableToSign) as refusal:
        operations.sign_transaction(key_id=key.pk, transaction=bundle(key, value_wei=1))
    assert refusal.value.code == "other_call"
    assert models.SignatureLog.objects.count() == 0


def test_a_disabled_key_signs_nothing_from_that_commit_on(signer: str) -> None:
    key = relayer_key()
    operations.sign_transaction(key_id=key.pk, transaction=bundle(key))
    with db.transaction():
        operations.disable_key(key_id=key.pk, now=clock.get_now())
    with pytest.raises(operations.UnableToSign) as refusal:
        operations.sign_transaction(key_id=key.pk, transaction=bundle(key, nonce=1))
    assert refusal.value.code == "key_disabled"
    assert models.SignatureLog.objects.count() == 1


def test_a_policy_altered_in_the_database_signs_nothing(signer: str) -> None:
    key = relayer_key()
    models.SealedKey.objects.filter(pk=key.pk).update(policy=key.policy | {"max_cost_wei": 10**30})
    with pytest.raises(operations.UnableToSign) as refusal:
        operations.sign_transaction(key_id=key.pk, transaction=bundle(key))
    assert refusal.value.code == "key_not_open"
    assert models.SignatureLog.objects.count() == 0


def test_a_ciphertext_moved_to_another_row_signs_nothing(signer: str) -> None:
    first, second = relayer_key("relayer:1"), relayer_key("relayer:2")
    moved = models.SealedSecret.columns(first.seal)
    assert models.SealedSecret.objects.filter(key=second).update(**moved) == 1
    with pytest.raises(operations.UnableToSign) as refusal:
        operations.sign_transaction(key_id=second.pk, transaction=bundle(second))
    assert refusal.value.code == "key_not_open"


def test_the_log_refuses_change_and_shows_a_change_made_past_the_trigger(signer: str) -> None:
    key = relayer_key()
    for nonce in range(3):
        operations.sign_transaction(key_id=key.pk, transaction=bundle(key, nonce=nonce))
    for statement in ("UPDATE custody_signaturelog SET kind = 'other'", "DELETE FROM custody_signaturelog"):
        with pytest.raises(django_db.IntegrityError, match="append only"), django_db.connection.cursor() as cursor:
            cursor.execute(statement)
    with django_db.connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE custody_signaturelog SET kind = 'other' WHERE sequence = 2")
        cursor.execute("SET session_replication_role = DEFAULT")
    assert queries.first_broken_link(key=key) == 2


@pytest.fixture
def deployment(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts at made-up addresses; an owner's account follows from them."""
    where = {
        field.name: words.keccak(field.name.encode())[12:]
        for field in dataclasses.fields(deployments.Deployment)
        if field.type == "bytes"
    }
    feeds = deployments.Feeds(native_usd=bytes(20), ovpp_usd=bytes(20), stablecoin_usd=bytes(20))
    made = deployments.Deployment(chain_id=CHAIN_ID, deployed_block=1, feeds=feeds, **where)
    deployments.write(made, directory=tmp_path, code_hashes={})
    monkeypatch.setenv("OPENVPP_DEPLOYMENTS_DIR", str(tmp_path))


def owner_key() -> models.SealedKey:
    return operations.create_key(
        purpose="wallet_owner",
        subject="wallet:1",
        policy={"chain_id": CHAIN_ID, "salt": "0x" + "07" * 32, "payee": "0x" + PAYEE.hex()},
    )


def let_in(owner: models.SealedKey, policy: sessions.SessionPolicy, consent: bytes) -> bytes:
    return operations.sign_session_install(
        key_id=owner.pk,
        policy=policy,
        consent=consent,
        account=bytes.fromhex(owner.policy["account"][2:]),
        chain_id=CHAIN_ID,
    )


def a_session(**changes: object) -> sessions.SessionPolicy:
    return policies.Session.parse(session_policy(**changes)).on_chain(key=b"\x0b" * 20)


def test_an_owner_lets_a_session_in_to_which_the_customer_consented(signer: str, deployment: None) -> None:
    owner, policy = owner_key(), a_session()
    terms = custody_fixture.terms_of(policy)
    consent = operations.record_consent(key_id=owner.pk, terms=terms, now=clock.get_now())
    leave = let_in(owner, policy, consent)
    assert consent == consents.digest(terms=terms)
    assert leave[:32] == consent
    digest = sessions.session_install_digest(
        policy=policy, consent=consent, chain_id=CHAIN_ID, account=bytes.fromhex(owner.policy["account"][2:])
    )
    assert keys.recover(digest=digest, signature=leave[32:]) == str(owner.address)
    assert let_in(owner, policy, consent) == leave
    entries = models.SignatureLog.objects.filter(key=owner)
    assert [entry.statement["consent"] for entry in entries] == ["0x" + consent.hex()] * 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"payee": "0x" + "99" * 20}, "other_payee"),
        ({"token": "0x" + "99" * 20}, "other_terms"),
        ({"fee_token": "0x" + "99" * 20}, "other_terms"),
        ({"max_per_payment_units": 101}, "other_terms"),
        ({"max_per_period_units": 201}, "other_terms"),
        ({"max_total_units": 2**90 + 1}, "other_terms"),
        ({"max_fee_units": 6}, "other_terms"),
        ({"max_fee_in_fee_token_units": 1}, "other_terms"),
        ({"period_seconds": 86_399}, "other_terms"),
        ({"starts_at": 1_699_999_999}, "other_terms"),
        ({"ends_at": 4_000_000_001}, "other_terms"),
    ],
)
def test_an_owner_lets_in_nothing_else_than_the_customer_read(
    signer: str, deployment: None, changes: dict[str, object], code: str
) -> None:
    owner = owner_key()
    terms = custody_fixture.terms_of(a_session())
    consent = operations.record_consent(key_id=owner.pk, terms=terms, now=clock.get_now())
    with pytest.raises(operations.UnableToSign) as refusal:
        let_in(owner, a_session(**changes), consent)
    assert refusal.value.code == code
    assert models.SignatureLog.objects.count() == 0


def test_an_owner_lets_nothing_in_without_a_consent_on_its_own_record(signer: str, deployment: None) -> None:
    owner, policy = owner_key(), a_session()
    terms = custody_fixture.terms_of(policy)
    elsewhere = operations.record_consent(key_id=relayer_key().pk, terms=terms, now=clock.get_now())
    for consent in (bytes(32), elsewhere):
        with pytest.raises(operations.UnableToSign) as refusal:
            let_in(owner, policy, consent)
        assert refusal.value.code == "unknown_consent"
    assert models.SignatureLog.objects.count() == 0


def test_one_consent_lets_one_session_in(signer: str, deployment: None) -> None:
    owner, policy = owner_key(), a_session()
    consent = operations.record_consent(key_id=owner.pk, terms=custody_fixture.terms_of(policy), now=clock.get_now())
    let_in(owner, policy, consent)
    with pytest.raises(operations.UnableToSign) as refusal:
        let_in(owner, dataclasses.replace(policy, key=b"\x0c" * 20), consent)
    assert refusal.value.code == "consent_used"
    assert models.SignatureLog.objects.count() == 1


def test_a_consent_is_written_once_and_for_ever(signer: str, deployment: None) -> None:
    owner, terms = owner_key(), custody_fixture.terms_of(a_session())
    for _ in range(2):
        operations.record_consent(key_id=owner.pk, terms=terms, now=clock.get_now())
    assert models.Consent.objects.count() == 1
    for statement in ("UPDATE custody_consent SET terms = '{}'", "DELETE FROM custody_consent"):
        with pytest.raises(django_db.IntegrityError, match="append only"), django_db.connection.cursor() as cursor:
            cursor.execute(statement)


def test_signatures_of_one_key_at_once_make_one_unbroken_chain(signer: str) -> None:
    key = relayer_key()
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            operations.sign_transaction(key_id=key.pk, transaction=bundle(key, nonce=number))
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)
        finally:
            django_db.connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert models.SignatureLog.objects.filter(key=key).count() == 12
    assert queries.first_broken_link(key=key) is None


@pytest.mark.parametrize(
    ("path", "headers", "content", "status", "code"),
    [
        ("/v1/keys", {}, b"{}", 401, "unauthorized"),
        ("/v1/keys", {"Authorization": "Bearer wrong"}, b"{}", 401, "unauthorized"),
        ("/v1/other", {"Authorization": f"Bearer {signer_fixture.TOKEN}"}, b"{}", 404, "not_found"),
        ("/v1/keys", {"Authorization": f"Bearer {signer_fixture.TOKEN}"}, b"{", 400, "malformed"),
        ("/v1/keys", {"Authorization": f"Bearer {signer_fixture.TOKEN}"}, b"[]", 400, "malformed"),
        ("/v1/signatures", {"Authorization": f"Bearer {signer_fixture.TOKEN}"}, b"{}", 400, "malformed"),
        (
            "/v1/signatures",
            {"Authorization": f"Bearer {signer_fixture.TOKEN}"},
            b'{"key_id": 1, "intent": {"kind": "hash", "digest": "0x00"}}',
            400,
            "bad_intent",
        ),
        (
            "/v1/signatures",
            {"Authorization": f"Bearer {signer_fixture.TOKEN}"},
            b" " * (1024 * 1024 + 1),
            413,
            "too_large",
        ),
    ],
)
def test_what_is_no_request_of_ours_is_refused_in_json(  # noqa: PLR0917 - one a column of the table
    signer: str, path: str, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    answer = httpx.post(signer + path, headers=headers, content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert models.SealedKey.objects.count() == 0


def test_keys_are_wrapped_anew_while_they_sign_and_the_old_key_opens_them_no_more(
    signer: str, ring: sealing.Ring
) -> None:
    key = relayer_key()
    new = sealing.KeyEncryptionKey(keys.Secret(os.urandom(32)))
    both = sealing.Ring(current=new, older=(ring.current,))
    assert rewrap_keys.rewrap_keys(ring=both) == 1
    assert rewrap_keys.rewrap_keys(ring=both) == 0
    assert httpx.get(signer + "/health").json()["keys_that_do_not_open"] == 1
    with pytest.raises(operations.UnableToSign) as refusal:
        operations.sign_transaction(key_id=key.pk, transaction=bundle(key))
    assert refusal.value.code == "key_not_open"
    signature = sign.sign(
        key_id=key.pk,
        intent=intents.Transaction(transaction=bundle(key)),
        ring=sealing.Ring(current=new),
        now=clock.get_now(),
    )
    assert keys.recover(digest=bundle(key).digest(), signature=signature) == str(key.address)


def test_a_signer_that_is_away_is_unreachable_and_not_a_refusal(signer: str, settings: object) -> None:
    key = relayer_key()
    settings.SIGNER_URL = "http://127.0.0.1:1"  # type: ignore[attr-defined]
    with pytest.raises(errors.Unreachable):
        operations.sign_transaction(key_id=key.pk, transaction=bundle(key))


def test_no_private_key_stands_in_the_database_or_the_log(
    signer: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    canaries: list[bytes] = []
    generate = keys.PrivateKey.generate

    def remember() -> keys.PrivateKey:
        key = generate()
        canaries.append(key.secret().reveal())
        return key

    monkeypatch.setattr(keys.PrivateKey, "generate", remember)
    key = relayer_key()
    operations.sign_transaction(key_id=key.pk, transaction=bundle(key))
    with pytest.raises(operations.UnableToSign):
        operations.sign_transaction(key_id=key.pk, transaction=bundle(key, value_wei=1))
    with django_db.connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_to_json(t)::text FROM custody_sealedkey t UNION ALL "
            "SELECT row_to_json(t)::text FROM custody_signaturelog t"
        )
        dump = "\n".join(row[0] for row in cursor.fetchall())
    assert len(canaries) == 1
    for text in (dump, caplog.text):
        assert canaries[0].hex() not in text.lower()
        assert str(int.from_bytes(canaries[0])) not in text


def test_a_moved_treasury_is_sealed_with_the_owner_key_by_whoever_holds_the_key_encryption_key(
    signer: str, deployment: None, ring: sealing.Ring
) -> None:
    owner, moved = owner_key(), "0x" + "77" * 20
    models.SealedKey.objects.filter(pk=owner.pk).update(policy=owner.policy | {"payee": moved})
    policy = a_session(payee=moved)
    consent = operations.record_consent(key_id=owner.pk, terms=custody_fixture.terms_of(policy), now=clock.get_now())
    with pytest.raises(operations.UnableToSign) as refusal:
        let_in(owner, policy, consent)
    assert refusal.value.code == "key_not_open"
    models.SealedKey.objects.filter(pk=owner.pk).update(policy=owner.policy)

    assert change_payee.change_payee(before=b"\x76" * 20, after=bytes.fromhex(moved[2:]), ring=ring) == 0
    assert change_payee.change_payee(before=PAYEE, after=bytes.fromhex(moved[2:]), ring=ring) == 1

    assert let_in(owner, policy, consent)[:32] == consent
    old = operations.record_consent(key_id=owner.pk, terms=custody_fixture.terms_of(a_session()), now=clock.get_now())
    with pytest.raises(operations.UnableToSign) as refusal:
        let_in(owner, a_session(), old)
    assert refusal.value.code == "other_payee"
