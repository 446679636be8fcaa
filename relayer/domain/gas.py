"""How much gas an operation may use, and how much it is expected to. Limits were measured on EntryPoint v0.8."""

import dataclasses
import enum

from contracts.bindings import delegations

_PAYMASTER_VERIFICATION = 60_000
_PAYMASTER_POST_OP = 25_000
_PRE_VERIFICATION = 60_000
# What a payment is charged more when its fee goes by a second transfer, in another token than the bill's.
SECOND_TRANSFER = 25_000
P256_WITH_PRECOMPILE = 10_000
P256_WITHOUT_PRECOMPILE = 260_000


class Kind(enum.StrEnum):
    """What an operation does, as far as its gas depends on it."""

    BILL_PAYMENT = "bill_payment"
    OWNER_CALL = "owner_call"
    PAYOUT = "payout"
    CONTROL = "control"
    CUSTOMERS_WORD = "customers_word"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GasLimits:
    """The limits of an operation and its paymaster, in units of gas; `expected` is what it will likely be charged."""

    verification_gas_limit: int
    call_gas_limit: int
    pre_verification_gas: int
    paymaster_verification_gas_limit: int = _PAYMASTER_VERIFICATION
    paymaster_post_op_gas_limit: int = _PAYMASTER_POST_OP
    expected: int

    @property
    def total(self) -> int:
        """Return the most gas that the operation can be charged."""
        return (
            self.verification_gas_limit
            + self.call_gas_limit
            + self.pre_verification_gas
            + self.paymaster_verification_gas_limit
            + self.paymaster_post_op_gas_limit
        )


def estimate(
    *,
    kind: Kind,
    is_deployed: bool,
    has_session: bool = True,
    recipients: int = 0,
    sessions: int = 0,
    is_p256: bool = False,
) -> GasLimits:
    """Return limits with margin for one operation.

    `has_session` says whether the session is installed already; `recipients` counts those of a payout, `sessions` those
    that an owner ends at once. `is_p256` says that a phone's P-256 key signs: little more with the precompile
    (EIP-7951), which is expected, much without.
    """
    if not is_deployed:
        verification, deployment = 350_000, 135_000
    elif kind is Kind.BILL_PAYMENT and not has_session:
        verification, deployment = 120_000, 30_000
    else:
        verification, deployment = 60_000, 0
    if is_p256:
        verification, deployment = verification + P256_WITHOUT_PRECOMPILE, deployment + P256_WITH_PRECOMPILE
    if kind is Kind.PAYOUT:
        return GasLimits(
            verification_gas_limit=verification,
            call_gas_limit=150_000 + 45_000 * recipients,
            pre_verification_gas=_PRE_VERIFICATION + 2_000 * recipients,
            expected=deployment + 185_000 + 35_000 * recipients,
        )
    if kind is Kind.OWNER_CALL:
        return GasLimits(
            verification_gas_limit=verification,
            call_gas_limit=80_000 + 30_000 * max(sessions - 1, 0),
            pre_verification_gas=_PRE_VERIFICATION + 1_000 * max(sessions - 1, 0),
            expected=deployment + 130_000 + 10_000 * max(sessions - 1, 0),
        )
    if kind in (Kind.CONTROL, Kind.CUSTOMERS_WORD):
        # The account checks the customer's signature in the call, perhaps of a P-256 key.
        signature = P256_WITHOUT_PRECOMPILE if kind is Kind.CUSTOMERS_WORD else 0
        return GasLimits(
            verification_gas_limit=verification,
            call_gas_limit=160_000 + signature,
            pre_verification_gas=_PRE_VERIFICATION,
            expected=deployment + 200_000,
        )
    return GasLimits(
        verification_gas_limit=verification,
        call_gas_limit=150_000,
        pre_verification_gas=_PRE_VERIFICATION,
        expected=deployment + 160_000,
    )


# Of the bundle's own work for one operation: its share of 21,000, the loop, the event (ERC-4337's overhead).
_OVERHEAD = 42_000
_ZERO_BYTE, _OTHER_BYTE = 4, 16


def size_bytes(*, pre_verification_gas: int) -> int:
    """Return how many bytes of calldata such a limit pays for."""
    return max(pre_verification_gas - _OVERHEAD, 0) // _OTHER_BYTE


def pre_verification(*, encoded: bytes, authorizations: int = 0) -> int:
    """Return the gas of an operation's calldata in a bundle, and of the bundle's work around it.

    `encoded` is the operation as `handleOps` carries it; `authorizations` counts those of EIP-7702 that go with it.
    """
    zeros = encoded.count(0)
    bytes_gas = _ZERO_BYTE * zeros + _OTHER_BYTE * (len(encoded) - zeros)
    return _OVERHEAD + bytes_gas + delegations.GAS * authorizations
