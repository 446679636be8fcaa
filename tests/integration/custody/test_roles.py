"""The database's roles: the signer's signs and reads no bill; the web's reads no sealed secret and writes no log."""

import os
import secrets
from collections.abc import Iterator

import pytest
from django import db as django_db

from custody import models
from custody.domain import intents, keys, sealing
from custody.usecases import create_key, make_roles, sign
from openvpp.core import clock, db
from tests.integration.custody import test_signer


@pytest.fixture
def roles(transactional_db: None) -> Iterator[tuple[str, str]]:
    """Names of the signer's and the web's role."""
    names = f"signer_{secrets.token_hex(4)}", f"web_{secrets.token_hex(4)}"
    signer, web = (make_roles.Role(name=name, password=secrets.token_hex(8)) for name in names)
    for _ in range(2):
        make_roles.make_roles(signer=signer, web=web)
    yield names
    with django_db.connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("SELECT current_user")
        [owner] = cursor.fetchone()
        for name in names:
            cursor.execute(f'REASSIGN OWNED BY {name} TO "{owner}"')
            cursor.execute(f"DROP OWNED BY {name}")
            cursor.execute(f"DROP ROLE {name}")


def become(name: str) -> None:
    with django_db.connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {name}")


def refused(statement: str) -> None:
    denied = pytest.raises(django_db.ProgrammingError, match="permission denied")
    with denied, db.transaction(), django_db.connection.cursor() as cursor:
        cursor.execute(statement)


def a_key(ring: sealing.Ring) -> models.SealedKey:
    policy = {"chain_id": 31337, "entry_point": "0x" + test_signer.ENTRY_POINT.hex(), "max_cost_wei": 10**18}
    return create_key.create_key(purpose="relayer", subject="relayer:1", policy=policy, ring=ring, now=clock.get_now())


def test_the_signer_signs_with_its_own_role_and_reads_nothing_else(roles: tuple[str, str]) -> None:
    ring = sealing.Ring(current=sealing.KeyEncryptionKey(keys.Secret(os.urandom(32))))
    become(roles[0])
    key = a_key(ring)
    intent = intents.Transaction(transaction=test_signer.bundle(key))
    signature = sign.sign(key_id=key.pk, intent=intent, ring=ring, now=clock.get_now())
    assert keys.recover(digest=intent.digest(), signature=signature) == key.address
    for statement in (
        "SELECT 1 FROM billing_bill",
        "SELECT 1 FROM customers_user",
        "SELECT 1 FROM wallets_accesstoken",
        "SELECT 1 FROM core_job",
        "UPDATE custody_signaturelog SET kind = 'x'",
        "DELETE FROM custody_sealedkey",
        "INSERT INTO custody_consent DEFAULT VALUES",
        "UPDATE controls_changerequest SET state = 'applied'",
    ):
        refused(statement)


def test_the_web_reads_no_sealed_secret_and_writes_no_signature(roles: tuple[str, str]) -> None:
    ring = sealing.Ring(current=sealing.KeyEncryptionKey(keys.Secret(os.urandom(32))))
    key = a_key(ring)
    become(roles[1])
    for statement in (
        "SELECT ciphertext FROM custody_sealedsecret",
        "UPDATE custody_sealedsecret SET nonce = ''",
        "INSERT INTO custody_signaturelog DEFAULT VALUES",
        "UPDATE custody_sealedkey SET policy = '{}'",
        "INSERT INTO custody_sealedkey DEFAULT VALUES",
        "DELETE FROM custody_consent",
    ):
        refused(statement)
    assert models.SealedKey.objects.get().policy == key.policy
    with db.transaction():
        models.SealedKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        assert models.SealedKey.objects.filter(pk=key.pk).update(disabled_at=clock.get_now()) == 1
