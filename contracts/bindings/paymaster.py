"""The paymaster: what a sponsor signs for an operation, and the paymaster's own calls."""

from __future__ import annotations

import dataclasses
import enum
import functools
import uuid

from contracts.bindings import user_operations, words

_SPONSORED_TYPEHASH = words.keccak(
    b"SponsoredOperation(address sender,uint256 nonce,bytes32 initCodeHash,bytes32 callDataHash,"
    b"bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes32 paymasterFieldsHash)"
)
_SET_ALLOWANCE = words.selector("setAllowance(address,uint96,uint128)")
_SET_SPONSOR = words.selector("setSponsor(address,bool)")
_IS_SPONSOR = words.selector("isSponsor(address)")
_SET_BUDGET = words.selector("setBudget(uint64,uint64,uint104)")
_SET_LIMITS = words.selector("setLimits(uint64,uint64,uint128,uint128)")
_SET_MANAGER = words.selector("setManager(uint64,address)")
_BUDGET_OF = words.selector("budgetOf(uint64,uint64)")
_PAY_BILL = words.selector("payBill(bytes32[5],bytes16,uint256,uint256,bool)")
_PAY_BILL_BYTES = 4 + 9 * 32
_FEE_AT, _IN_FEE_TOKEN_AT = 4 + 7 * 32, 4 + 8 * 32
_DAY_S = 86_400

# How long a sponsorship may last at most and always fall on a clear day.
WINDOW_SECONDS = 3_600
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

    The times are Unix seconds: valid for blocks with `valid_after < timestamp <= valid_until`; a budget that is limited
    per day asks that they lie no further apart than `WINDOW_SECONDS`. The fee is in base units of the fee's token and
    zero for the utility's mode and for calls other than a bill payment. Gas limits are the paymaster's own two. With a
    `program_id` other than zero that program's budget is charged beside the utility's.
    """

    paymaster: bytes
    mode: FeeMode
    utility_id: int
    valid_after: int
    valid_until: int
    fee_units: int
    verification_gas_limit: int
    post_op_gas_limit: int
    program_id: int = 0

    def day(self) -> int:
        """Return the UTC day, in whole days since 1970-01-01, that the operation is counted on; zero if not clear."""
        day = self.valid_until // _DAY_S
        return day if self.valid_after + WINDOW_SECONDS >= day * _DAY_S else 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a utility, or one of its programs, may spend on gas, in wei; zero stands for no limit."""

    left_wei: int
    spent_on_day_wei: int
    day: int
    max_per_operation_wei: int
    max_per_day_wei: int

    def refusal_of(self, *, cost_wei: int, day: int) -> str | None:
        """Return the error's name with which an operation of a day is refused, None if it is paid for.

        `cost_wei` is the most that it may cost, `day` the UTC day it is counted on, zero if that is not clear.
        """
        if cost_wei > self.left_wei:
            return "BudgetExceeded"
        if self.max_per_operation_wei and cost_wei > self.max_per_operation_wei:
            return "AboveOperationLimit"
        if self.max_per_day_wei and not day:
            return "DayUnclear"
        if self.max_per_day_wei and self._spent_with(cost_wei, day) > self.max_per_day_wei:
            return "AboveDayLimit"
        return None

    def after(self, *, cost_wei: int, day: int) -> Budget:
        """Return the budget once an operation that is not refused was reserved."""
        return dataclasses.replace(
            self,
            left_wei=self.left_wei - cost_wei,
            spent_on_day_wei=self._spent_with(cost_wei, day) if day else self.spent_on_day_wei,
            day=max(day, self.day),
        )

    def settled(self, *, unused_wei: int, day: int) -> Budget:
        """Return the budget once an operation of a day was executed and did not use a part of what was reserved."""
        is_counted = day == self.day
        spent = max(0, self.spent_on_day_wei - unused_wei) if is_counted else self.spent_on_day_wei
        return dataclasses.replace(self, left_wei=self.left_wei + unused_wei, spent_on_day_wei=spent)

    def _spent_with(self, cost_wei: int, day: int) -> int:
        return cost_wei + (self.spent_on_day_wei if day <= self.day else 0)


def fee_refusal_of(*, call_data: bytes, sponsorship: Sponsorship) -> str | None:
    """Return the error's name with which the paymaster refuses a call for its fee, None if the fee is as quoted."""
    fee, is_in_fee_token = 0, sponsorship.mode is FeeMode.OVPP
    if call_data[:4] == _PAY_BILL:
        if len(call_data) != _PAY_BILL_BYTES:
            return "BadDataLength"
        fee = words.read_uint(call_data, _FEE_AT)
        is_in_fee_token = words.read_uint(call_data, _IN_FEE_TOKEN_AT) != 0
    is_absorbed = sponsorship.mode is FeeMode.UTILITY
    is_quoted_kind = is_in_fee_token == (sponsorship.mode is FeeMode.OVPP)
    if fee != sponsorship.fee_units or (fee and (is_absorbed or not is_quoted_kind)):
        return "FeeDiffersFromQuote"
    return None


def encode_paymaster_data(*, sponsorship: Sponsorship, sponsor_signature: bytes | None = None) -> bytes:
    """Return an operation's `paymaster_and_data`; without a signature, the part of it that the sponsor signs."""
    fields = b"".join(
        (
            words.exactly(sponsorship.paymaster, words.ADDRESS_BYTES, "the paymaster"),
            sponsorship.verification_gas_limit.to_bytes(16, "big"),
            sponsorship.post_op_gas_limit.to_bytes(16, "big"),
            sponsorship.mode.to_bytes(1, "big"),
            sponsorship.utility_id.to_bytes(8, "big"),
            sponsorship.program_id.to_bytes(8, "big"),
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


def program_number(program_id: uuid.UUID, /) -> int:
    """Return the number by which the chain knows a program: the first eight bytes of its random id, never zero."""
    return int.from_bytes(program_id.bytes[:8])


def sponsored(
    *, operation: user_operations.UserOperation, sponsorship: Sponsorship, sponsor_signature: bytes
) -> user_operations.UserOperation:
    """Return the operation with the sponsor's data in it, ready to be hashed and signed by the customer's key."""
    data = encode_paymaster_data(sponsorship=sponsorship, sponsor_signature=sponsor_signature)
    return dataclasses.replace(operation, paymaster_and_data=data)


def encode_relayed_data(
    *,
    relay_paymaster: bytes,
    verification_gas_limit: int,
    post_op_gas_limit: int = 0,
    utility_id: int | None = None,
    program_id: int = 0,
) -> bytes:
    """Return `paymaster_and_data` for the relayer keys' own paymaster, which asks for no signature.

    With `utility_id` that utility's budget is charged, in a `postOp` that needs gas; without, nobody's is. With
    `program_id` that program's is charged too.
    """
    named = b"" if utility_id is None else utility_id.to_bytes(8, "big") + program_id.to_bytes(8, "big")
    return b"".join(
        (
            words.exactly(relay_paymaster, words.ADDRESS_BYTES, "the paymaster"),
            verification_gas_limit.to_bytes(16, "big"),
            post_op_gas_limit.to_bytes(16, "big"),
            named,
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


def encode_set_budget(*, utility_id: int, budget_wei: int, program_id: int = 0) -> bytes:
    """Return the calldata that sets what is left of a utility's budget (the owner's to set), or of a program's."""
    return (
        _SET_BUDGET
        + words.uint(utility_id, bits=64)
        + words.uint(program_id, bits=64)
        + words.uint(budget_wei, bits=104)
    )


def encode_set_limits(
    *, utility_id: int, max_per_operation_wei: int, max_per_day_wei: int, program_id: int = 0
) -> bytes:
    """Return the calldata by which a utility's manager, or the owner, limits a budget; zero for no limit."""
    return b"".join(
        (
            _SET_LIMITS,
            words.uint(utility_id, bits=64),
            words.uint(program_id, bits=64),
            words.uint(max_per_operation_wei, bits=128),
            words.uint(max_per_day_wei, bits=128),
        )
    )


def encode_set_manager(*, utility_id: int, manager: bytes) -> bytes:
    """Return the calldata by which the owner names who sets a utility's limits and its programs' budgets."""
    return _SET_MANAGER + words.uint(utility_id, bits=64) + words.address(manager)


def encode_budget(*, utility_id: int, program_id: int = 0) -> bytes:
    """Return the calldata that asks for a utility's budget, or for one of its programs'; what is left comes first."""
    return _BUDGET_OF + words.uint(utility_id, bits=64) + words.uint(program_id, bits=64)


def decode_budget(*, result: bytes) -> Budget:
    """Return the budget that the paymaster answered.

    :raises ValueError: if that is none.
    """
    left, spent, day, per_operation, per_day = (words.read_uint(result, 32 * i) for i in range(5))
    return Budget(
        left_wei=left,
        spent_on_day_wei=spent,
        day=day,
        max_per_operation_wei=per_operation,
        max_per_day_wei=per_day,
    )


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
