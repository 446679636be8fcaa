"""A new key-encryption key while operations are signed: none fails. Without it nothing signs, and reading goes on."""

import concurrent.futures
import itertools
import os
import secrets
import threading

import pytest
from django import db as django_db

from custody import models, queries
from custody.domain import intents, keys, sealing
from custody.usecases import create_key, rewrap_keys, sign
from openvpp.core import clock
from tests.integration.custody import test_signer

KEYS = min(1000, 2 * int(os.environ.get("PROPERTY_EXAMPLES", "100")))
SIGNERS = 3
POLICY = {"chain_id": 31337, "entry_point": "0x" + test_signer.ENTRY_POINT.hex(), "max_cost_wei": 10**18}

pytestmark = pytest.mark.django_db(transaction=True)


def kek() -> sealing.KeyEncryptionKey:
    return sealing.KeyEncryptionKey(keys.Secret(os.urandom(32)))


def make(ring: sealing.Ring, count: int) -> list[models.SealedKey]:
    return [
        create_key.create_key(
            purpose="relayer", subject=f"relayer:{number}", policy=POLICY, ring=ring, now=clock.get_now()
        )
        for number in range(count)
    ]


def test_no_operation_fails_while_every_key_is_wrapped_anew() -> None:
    old, new = kek(), kek()
    made = make(sealing.Ring(current=old), KEYS)
    both = sealing.Ring(current=new, older=(old,))
    ended = threading.Event()
    nonces = itertools.count()

    def work(_: int) -> int:
        done = 0
        try:
            while not ended.is_set() or done == 0:
                key = secrets.choice(made)
                intent = intents.Transaction(transaction=test_signer.bundle(key, nonce=next(nonces)))
                signature = sign.sign(key_id=key.pk, intent=intent, ring=both, now=clock.get_now())
                assert keys.recover(digest=intent.digest(), signature=signature) == key.address
                done += 1
        finally:
            django_db.connections.close_all()
        return done

    with concurrent.futures.ThreadPoolExecutor(SIGNERS) as pool:
        working = [pool.submit(work, number) for number in range(SIGNERS)]
        assert rewrap_keys.rewrap_keys(ring=both) == KEYS
        ended.set()
        signed = sum(each.result(timeout=60) for each in working)
    assert models.SignatureLog.objects.count() == signed
    assert set(models.SealedKey.objects.values_list("key_encryption_key_id", flat=True)) == {new.id}
    alone = sealing.Ring(current=new)
    for key in models.SealedKey.objects.select_related("secret"):
        assert alone.open(seal=key.seal, binding=key.binding).address == key.address
    assert [key.pk for key in made if queries.first_broken_link(key=key) is not None] == []


def test_with_the_key_encryption_key_off_nothing_is_signed_and_reading_goes_on() -> None:
    [key] = make(sealing.Ring(current=kek()), 1)
    off = sealing.Ring(current=kek())
    with pytest.raises(sign.UnableToSign) as refusal:
        sign.sign(
            key_id=key.pk,
            intent=intents.Transaction(transaction=test_signer.bundle(key)),
            ring=off,
            now=clock.get_now(),
        )
    assert refusal.value.code == "key_not_open"
    assert not models.SignatureLog.objects.exists()
    assert queries.get_key_of(subject="relayer:0").address == key.address
    assert queries.get_key(key_id=key.pk).policy["max_cost_wei"] == 10**18
