"""The paymaster: what a sponsor signs for an operation, and the paymaster's own calls."""

from __future__ import annotations

import dataclasses
import enum
import functools

from contracts.bindings import user_operations, words

_SPONSORED_TYPEHASH = words.keccak(
    b"SponsoredOperation(address sender,uint256 nonce,bytes32 initCodeHash,bytes32 callDataHash,"
    b"bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes32 paymasterFieldsHash)"
)
_SET_ALLOWANCE = words.selector("setAllowance(address,uint96,uint128)")
_SET_SPONSOR = words.selector("setSponsor(address,bool)")
_IS_SPONSOR = words.selector("isSponsor(address)")
_SET_BUDGET = words.selector("setBudget(uint64,uint256)")
_BUDGET_WEI = words.selector("budgetWei(uint64)")
_SET_PAUSED = words.selector("setPaused(bool)")
_DEPOSIT = words.selector("deposit()")
_GET_DEPOSIT = words.selector("getDeposit()")
_ADD_STAKE = words.selector("addStake(uint32)")
_WITHDRAW_TO = words.selector("withdrawTo(address,uint256)")


class FeeMode(enum.IntEnum):
    """How the network fee of an operation is paid."""

    OVPP = 1
    STABLECOIN = 2
    UTILITY = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sponsorship:
    """What a sponsor grants: the mode, whose budget pays, the quoted fee, and when.

    The times are Unix seconds: valid for blocks with `valid_after < timestamp <= valid_until`. The fee is in base units
    of the fee's token and zero for the utility's mode and for calls other than a bill payment. Gas limits are the
    paymaster's own two.
    """

    paymaster: bytes
    mode: FeeMode
    utility_id: int
    valid_after: int
    valid_until: int
    fee_units: int
    verification_gas_limit: int
    post_op_gas_limit: int


def encode_paymaster_data(*, sponsorship: Sponsorship, sponsor_signature: bytes | None = None) -> bytes:
    """Return an operation's `paymaster_and_data`; without a signature, the part of it that the sponsor signs."""
    fields = b"".join(
        (
            words.exactly(sponsorship.paymaster, words.ADDRESS_BYTES, "the paymaster"),
            sponsorship.verification_gas_limit.to_bytes(16, "big"),
            sponsorship.post_op_gas_limit.to_bytes(16, "big"),
            sponsorship.mode.to_bytes(1, "big"),
            sponsorship.utility_id.to_bytes(8, "big"),
            sponsorship.valid_after.to_bytes(6, "big"),
            sponsorship.valid_until.to_bytes(6, "big"),
            sponsorship.fee_units.to_bytes(16, "big"),
        )
    )
    return fields if sponsor_signature is None else fields + words.signature(sponsor_signature)


def sponsor_digest(*, operation: user_operations.UserOperation, sponsorship: Sponsorship, chain_id: int) -> bytes:
    """Return the digest that the sponsor signs (EIP-712).

    It covers the whole operation but for its signature and its `paymaster_and_data`, in whose place stands the
    sponsorship. The sponsor signs first, the customer's key after.
    """
    struct_hash = words.keccak(
        b"".join(
            (
                _SPONSORED_TYPEHASH,
                words.address(operation.sender),
                words.uint(operation.nonce),
                words.keccak(operation.init_code),
                words.keccak(operation.call_data),
                operation.account_gas_limits,
                words.uint(operation.pre_verification_gas),
                operation.gas_fees,
                words.keccak(encode_paymaster_data(sponsorship=sponsorship)),
            )
        )
    )
    return words.typed_data_hash(domain=_domain(chain_id, sponsorship.paymaster), struct_hash=struct_hash)


def sponsored(
    *, operation: user_operations.UserOperation, sponsorship: Sponsorship, sponsor_signature: bytes
) -> user_operations.UserOperation:
    """Return the operation with the sponsor's data in it, ready to be hashed and signed by the customer's key."""
    data = encode_paymaster_data(sponsorship=sponsorship, sponsor_signature=sponsor_signature)
    return dataclasses.replace(operation, paymaster_and_data=data)


def encode_relayed_data(
    *, relay_paymaster: bytes, verification_gas_limit: int, post_op_gas_limit: int = 0, utility_id: int | None = None
) -> bytes:
    """Return `paymaster_and_data` for the relayer keys' own paymaster, which asks for no signature.

    With `utility_id` that utility's budget is charged, in a `postOp` that needs gas; without, nobody's is.
    """
    return b"".join(
        (
            words.exactly(relay_paymaster, words.ADDRESS_BYTES, "the paymaster"),
            verification_gas_limit.to_bytes(16, "big"),
            post_op_gas_limit.to_bytes(16, "big"),
            b"" if utility_id is None else utility_id.to_bytes(8, "big"),
        )
    )


def encode_set_allowance(*, relayer: bytes, max_fee_per_gas_wei: int, max_cost_wei: int) -> bytes:
    """Return the calldata by which the relay paymaster's owner says what a relayer key may spend on an operation."""
    return (
        _SET_ALLOWANCE
        + words.address(relayer)
        + words.uint(max_fee_per_gas_wei, bits=96)
        + words.uint(max_cost_wei, bits=128)
    )


def encode_set_sponsor(*, sponsor: bytes, is_allowed: bool) -> bytes:
    """Return the calldata by which the paymaster's owner lets a key sponsor, or not."""
    return _SET_SPONSOR + words.address(sponsor) + words.flag(is_allowed)


def encode_is_sponsor(*, sponsor: bytes) -> bytes:
    """Return the calldata that asks whether a key may sponsor."""
    return _IS_SPONSOR + words.address(sponsor)


def encode_set_budget(*, utility_id: int, budget_wei: int) -> bytes:
    """Return the calldata by which the paymaster's owner sets what is left of a utility's budget."""
    return _SET_BUDGET + words.uint(utility_id, bits=64) + words.uint(budget_wei)


def encode_budget(*, utility_id: int) -> bytes:
    """Return the calldata that asks what is left of a utility's budget, in wei."""
    return _BUDGET_WEI + words.uint(utility_id, bits=64)


def encode_set_paused(*, is_paused: bool) -> bytes:
    """Return the calldata by which the paymaster's owner stops sponsoring, or lets it go on."""
    return _SET_PAUSED + words.flag(is_paused)


def encode_deposit() -> bytes:
    """Return the calldata that adds the sent native coin to the paymaster's deposit."""
    return _DEPOSIT


def encode_get_deposit() -> bytes:
    """Return the calldata that asks for the paymaster's deposit, in wei."""
    return _GET_DEPOSIT


def encode_add_stake(*, unstake_delay_seconds: int) -> bytes:
    """Return the calldata by which the owner adds the sent native coin to the paymaster's stake."""
    return _ADD_STAKE + words.uint(unstake_delay_seconds, bits=32)


def encode_withdraw_to(*, to: bytes, amount_wei: int) -> bytes:
    """Return the calldata by which the owner takes from the deposit."""
    return _WITHDRAW_TO + words.address(to) + words.uint(amount_wei)


@functools.lru_cache(maxsize=16)
def _domain(chain_id: int, paymaster: bytes) -> bytes:
    return words.domain_separator(
        name="OpenVPP Paymaster", version="1", chain_id=chain_id, verifying_contract=paymaster
    )
