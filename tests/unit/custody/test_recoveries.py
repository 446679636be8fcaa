"""What proves that a customer holds the key which is to own their wallet."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from contracts.bindings import passkeys, words
from custody.domain import recoveries
from tests import chain_fixture
from tests.chain import phone as phones

KEY = chain_fixture.Key(words.keccak(b"the next key"))
OTHER = chain_fixture.Key(words.keccak(b"another key"))
P256 = ec.derive_private_key(0xFACE, ec.SECP256R1())
POINT = P256.public_key().public_numbers()
NAMED: dict[str, Any] = {
    "wallet": words.checksummed(b"\x11" * 20),
    "chain_id": 31337,
    "new_owner": words.checksummed(KEY.address),
    "recovery_id": "2f0c8a34-5b52-4f2e-8d7a-0c5a9b1e7f10",
}


def signed(key: chain_fixture.Key, **changes: Any) -> dict[str, Any]:
    """Return terms signed by a key, and altered afterwards."""
    return NAMED | {"signature": "0x" + key.sign(recoveries.digest(text=recoveries.message(**NAMED))).hex()} | changes


def test_the_sentence_is_hashed_as_wallets_hash_messages() -> None:
    assert recoveries.digest(text="hello").hex() == "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"


def test_the_new_key_proves_itself() -> None:
    assert recoveries.is_proven(terms=signed(KEY))


@pytest.mark.parametrize(
    "terms",
    [
        signed(OTHER),
        signed(KEY, wallet=words.checksummed(b"\x12" * 20)),
        signed(KEY, chain_id=1),
        signed(KEY, new_owner=words.checksummed(OTHER.address)),
        signed(KEY, recovery_id="2f0c8a34-5b52-4f2e-8d7a-0c5a9b1e7f11"),
        signed(KEY, signature="0x"),
        signed(KEY, signature="0x" + "00" * 65),
        signed(KEY, signature="0x" + "00" * 128),
        signed(KEY, signature="hello"),
        NAMED,
    ],
)
def test_nothing_else_does(terms: dict[str, Any]) -> None:
    assert not recoveries.is_proven(terms=terms)


def test_a_key_of_p256_proves_itself_by_its_name() -> None:
    digest = recoveries.digest(text="hello")
    r, s = utils.decode_dss_signature(P256.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    signature = passkeys.raw_signature(x=POINT.x, y=POINT.y, r=r, s=s)
    name = words.checksummed(passkeys.name_of(x=POINT.x, y=POINT.y))
    assert recoveries.is_signed_by(key=name, digest=digest, signature=signature)
    assert not recoveries.is_signed_by(key=words.checksummed(KEY.address), digest=digest, signature=signature)
    assert not recoveries.is_signed_by(key=name, digest=bytes(32), signature=signature)


PHONE = phones.Phone(0xFACE)
PHONES_NAME = words.checksummed(PHONE.address)
DIGEST = recoveries.digest(text="hello")


@pytest.mark.parametrize("flags", [0x05, 0x0D, 0x1D])
def test_a_passkey_proves_itself_by_its_assertion(flags: int) -> None:
    signature = PHONE.attest(DIGEST, flags=flags)
    assert recoveries.is_signed_by(key=PHONES_NAME, digest=DIGEST, signature=signature)
    assert not recoveries.is_signed_by(key=words.checksummed(KEY.address), digest=DIGEST, signature=signature)
    assert not recoveries.is_signed_by(key=PHONES_NAME, digest=bytes(32), signature=signature)


@pytest.mark.parametrize("flags", [0x00, 0x01, 0x04, 0x15])
def test_a_user_who_was_not_verified_proves_nothing(flags: int) -> None:
    """Not present, not verified, or backed up where that may not be: accounts refuse the same."""
    assert not recoveries.is_signed_by(key=PHONES_NAME, digest=DIGEST, signature=PHONE.attest(DIGEST, flags=flags))


def test_an_altered_assertion_proves_nothing() -> None:
    whole = PHONE.attest(DIGEST)
    for at in range(0, len(whole), 7):
        altered = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert not recoveries.is_signed_by(key=PHONES_NAME, digest=DIGEST, signature=altered), at
    for cut in (whole[:-1], whole + bytes(1), whole[:200]):
        assert not recoveries.is_signed_by(key=PHONES_NAME, digest=DIGEST, signature=cut)
