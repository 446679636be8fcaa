"""What the signer is asked to sign: decoded wishes, never a bare hash. Each one computes its own digest."""

import dataclasses
import operator
from collections.abc import Callable, Mapping
from typing import Any

from contracts.bindings import delegations, paymaster, sessions, user_operations, words
from custody.domain import transactions

_OPERATION_BYTES = ("sender", "init_code", "call_data", "paymaster_and_data")
_OPERATION_NUMBERS = (
    "nonce",
    "verification_gas_limit",
    "call_gas_limit",
    "pre_verification_gas",
    "max_priority_fee_per_gas",
    "max_fee_per_gas",
)
_SPONSORSHIP_NUMBERS = (
    "utility_id",
    "valid_after",
    "valid_until",
    "fee_units",
    "verification_gas_limit",
    "post_op_gas_limit",
    "program_id",
)
_TRANSACTION_NUMBERS = (
    "chain_id",
    "nonce",
    "max_priority_fee_per_gas_wei",
    "max_fee_per_gas_wei",
    "gas_limit",
    "value_wei",
)
_operation_bytes = operator.attrgetter(*_OPERATION_BYTES)
_operation_numbers = operator.attrgetter(*_OPERATION_NUMBERS)
_sponsorship_numbers = operator.attrgetter(*_SPONSORSHIP_NUMBERS)


class UnableToReadIntent(ValueError):
    """The wish is not one that is known here, or not well formed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UserOperation:
    """Sign an operation's hash as EntryPoint v0.8 computes it."""

    kind = "user_operation"
    chain_id: int
    entry_point: bytes
    operation: user_operations.UserOperation

    def digest(self) -> bytes:
        return user_operations.hash_user_operation(
            operation=self.operation, chain_id=self.chain_id, entry_point=self.entry_point
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "chain_id": self.chain_id,
            "entry_point": _text(self.entry_point),
            "operation": _operation_to_json(self.operation),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionInstall:
    """Sign the owner's leave for a session of an account, to which the customer consented in frozen terms."""

    kind = "session_install"
    chain_id: int
    account: bytes
    policy: sessions.SessionPolicy
    consent: bytes

    def digest(self) -> bytes:
        return sessions.session_install_digest(
            policy=self.policy, consent=self.consent, chain_id=self.chain_id, account=self.account
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "chain_id": self.chain_id,
            "account": _text(self.account),
            "policy": _text(sessions.pack(policy=self.policy)),
            "consent": _text(self.consent),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sponsorship:
    """Sign the paymaster's leave for an operation."""

    kind = "sponsorship"
    chain_id: int
    operation: user_operations.UserOperation
    sponsorship: paymaster.Sponsorship

    @property
    def max_cost_wei(self) -> int:
        """Return the most that the operation may cost the paymaster."""
        gas = (
            self.operation.verification_gas_limit
            + self.operation.call_gas_limit
            + self.operation.pre_verification_gas
            + self.sponsorship.verification_gas_limit
            + self.sponsorship.post_op_gas_limit
        )
        return gas * self.operation.max_fee_per_gas

    def digest(self) -> bytes:
        return paymaster.sponsor_digest(operation=self.operation, sponsorship=self.sponsorship, chain_id=self.chain_id)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "chain_id": self.chain_id,
            "operation": _operation_to_json(self.operation),
            "sponsorship": {
                "paymaster": _text(self.sponsorship.paymaster),
                "mode": self.sponsorship.mode.value,
                **dict(zip(_SPONSORSHIP_NUMBERS, _sponsorship_numbers(self.sponsorship), strict=True)),
            },
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Sign a transaction of a relayer key."""

    kind = "transaction"
    transaction: transactions.Transaction

    def digest(self) -> bytes:
        return self.transaction.digest()

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "to": _text(self.transaction.to),
            "data": _text(self.transaction.data),
            "authorizations": [_text(each.pack()) for each in self.transaction.authorizations],
            **{name: getattr(self.transaction, name) for name in _TRANSACTION_NUMBERS},
        }


type Intent = UserOperation | SessionInstall | Sponsorship | Transaction


def parse(value: Mapping[str, Any]) -> Intent:
    """Return the intent that JSON describes.

    :raises UnableToReadIntent: it describes none.
    """
    readers: dict[str, Callable[[Mapping[str, Any]], Intent]] = {
        UserOperation.kind: _read_user_operation,
        SessionInstall.kind: _read_session_install,
        Sponsorship.kind: _read_sponsorship,
        Transaction.kind: _read_transaction,
    }
    reader = readers.get(str(value.get("kind")))
    if reader is None:
        raise UnableToReadIntent("Unknown kind of intent.")
    try:
        return reader(value)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UnableToReadIntent(f"Malformed {value['kind']}: {type(error).__name__} {error}") from None


def _read_user_operation(value: Mapping[str, Any]) -> UserOperation:
    return UserOperation(
        chain_id=_number(value["chain_id"]),
        entry_point=_bytes(value["entry_point"]),
        operation=_read_operation(value["operation"]),
    )


def _read_session_install(value: Mapping[str, Any]) -> SessionInstall:
    return SessionInstall(
        chain_id=_number(value["chain_id"]),
        account=_bytes(value["account"]),
        policy=sessions.unpack(packed=_bytes(value["policy"])),
        consent=words.exactly(_bytes(value["consent"]), words.HASH_BYTES, "a consent"),
    )


def _read_sponsorship(value: Mapping[str, Any]) -> Sponsorship:
    granted = value["sponsorship"]
    return Sponsorship(
        chain_id=_number(value["chain_id"]),
        operation=_read_operation(value["operation"]),
        sponsorship=paymaster.Sponsorship(
            paymaster=_bytes(granted["paymaster"]),
            mode=paymaster.FeeMode(_number(granted["mode"])),
            **{name: _number(granted[name]) for name in _SPONSORSHIP_NUMBERS},
        ),
    )


def _read_transaction(value: Mapping[str, Any]) -> Transaction:
    return Transaction(
        transaction=transactions.Transaction(
            to=_bytes(value["to"]),
            data=_bytes(value["data"]),
            authorizations=tuple(delegations.unpack(_bytes(each)) for each in value.get("authorizations", ())),
            **{name: _number(value[name]) for name in _TRANSACTION_NUMBERS},
        )
    )


def _operation_to_json(operation: user_operations.UserOperation) -> dict[str, Any]:
    return {
        **dict(zip(_OPERATION_BYTES, map(_text, _operation_bytes(operation)), strict=True)),
        **dict(zip(_OPERATION_NUMBERS, _operation_numbers(operation), strict=True)),
    }


def _read_operation(value: Mapping[str, Any]) -> user_operations.UserOperation:
    return user_operations.UserOperation(
        sender=words.exactly(_bytes(value["sender"]), words.ADDRESS_BYTES, "a sender"),
        init_code=_bytes(value["init_code"]),
        call_data=_bytes(value["call_data"]),
        paymaster_and_data=_bytes(value["paymaster_and_data"]),
        nonce=_number(value["nonce"]),
        verification_gas_limit=_number(value["verification_gas_limit"]),
        call_gas_limit=_number(value["call_gas_limit"]),
        pre_verification_gas=_number(value["pre_verification_gas"]),
        max_priority_fee_per_gas=_number(value["max_priority_fee_per_gas"]),
        max_fee_per_gas=_number(value["max_fee_per_gas"]),
    )


def _number(value: object) -> int:
    if type(value) is not int or value < 0:  # a boolean is no number
        raise UnableToReadIntent("a number must be whole and not negative")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise UnableToReadIntent("bytes are written as 0x and hexadecimal digits")
    return bytes.fromhex(value[2:])


def _text(value: bytes) -> str:
    return "0x" + value.hex()
