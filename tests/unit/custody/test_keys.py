"""Signatures and transactions, checked against independent implementations."""

import os

import eth_account
import pytest

from contracts.bindings import delegations, words
from custody.domain import keys, transactions

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def test_200_random_signatures_recover_to_their_key_with_low_s() -> None:
    for _ in range(200):
        key, digest = keys.PrivateKey.generate(), os.urandom(32)
        signature = key.sign(digest=digest)
        assert len(signature) == 65
        assert signature[64] in {27, 28}
        assert int.from_bytes(signature[32:64]) <= HALF_ORDER
        assert keys.recover(digest=digest, signature=signature) == key.address
        recovered = eth_account.Account._recover_hash(digest, signature=signature)
        assert recovered == key.address


def test_only_32_bytes_are_signed() -> None:
    with pytest.raises(ValueError, match="a digest has 32 bytes"):
        keys.PrivateKey.generate().sign(digest=b"text")


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x7f", b"\x80", b"\x55" * 55, b"\x56" * 56, b"\x70" * 70_000], ids=len
)
@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 2**40])
def test_a_transaction_is_encoded_as_eth_account_does(data: bytes, nonce: int) -> None:
    secret = os.urandom(32)
    key = keys.PrivateKey(keys.Secret(secret))
    transaction = transactions.Transaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_per_gas_wei=10**9,
        max_fee_per_gas_wei=3 * 10**9 + 7,
        gas_limit=1_234_567,
        to=os.urandom(20),
        value_wei=0,
        data=data,
    )
    expected = eth_account.Account.from_key(secret).sign_transaction(
        {
            "type": 2,
            "chainId": 31337,
            "nonce": nonce,
            "maxPriorityFeePerGas": 10**9,
            "maxFeePerGas": 3 * 10**9 + 7,
            "gas": 1_234_567,
            "to": words.checksummed(transaction.to),
            "value": 0,
            "data": data,
        }
    )
    raw = transaction.signed(signature=key.sign(digest=transaction.digest()))
    assert raw == bytes(expected.raw_transaction)
    assert words.keccak(raw) == bytes(expected.hash)
    assert transaction.max_cost_wei == 1_234_567 * (3 * 10**9 + 7)


@pytest.mark.parametrize(("chain_id", "nonce"), [(0, 0), (31337, 127), (31337, 2**40)])
def test_a_transaction_with_authorisations_is_encoded_as_eth_account_does(chain_id: int, nonce: int) -> None:
    account, sender = eth_account.Account.create(), keys.PrivateKey(keys.Secret(os.urandom(32)))
    signed = [
        account.sign_authorization({"chainId": chain_id, "address": "0x" + each.hex(), "nonce": nonce})
        for each in (b"\x77" * 20, bytes(20))
    ]
    authorizations = tuple(
        delegations.Authorization(
            chain_id=chain_id,
            delegate=bytes(each.address),
            nonce=nonce,
            signature=each.r.to_bytes(32) + each.s.to_bytes(32) + bytes([each.y_parity]),
        )
        for each in signed
    )
    transaction = transactions.Transaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_per_gas_wei=1,
        max_fee_per_gas_wei=2,
        gas_limit=10**6,
        to=b"\x43" * 20,
        value_wei=0,
        data=b"\x70" * 100,
        authorizations=authorizations,
    )
    expected = eth_account.Account.from_key(sender.secret().reveal()).sign_transaction(
        {
            "type": 4,
            "chainId": 31337,
            "nonce": nonce,
            "maxPriorityFeePerGas": 1,
            "maxFeePerGas": 2,
            "gas": 10**6,
            "to": words.checksummed(transaction.to),
            "value": 0,
            "data": transaction.data,
            "authorizationList": signed,
        }
    )
    assert transaction.signed(signature=sender.sign(digest=transaction.digest())) == bytes(expected.raw_transaction)
    for each in authorizations:
        assert words.checksummed(each.authority()) == account.address
        assert delegations.unpack(each.pack()) == each
