"""What an operation is to do, decoded: kept with it as JSON, and signed exactly as it says.

Addresses are checksummed text, references `0x` and 32 hex digits, amounts base units (decimal strings in JSON, which
would round them elsewhere).
"""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any, Self

from contracts.bindings import accounts, paymaster, payments, sessions, tokens, words

_LANE_BYTES = 24


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BillPayment:
    """Pay a bill with a session key. The fee is in `token`, or in `fee_token` where one is named."""

    reference: str
    payee: str
    token: str
    amount_units: int
    fee_units: int = 0
    fee_token: str | None = None

    @property
    def spend_units(self) -> int:
        """Return what counts against the grant's limits, in base units of `token`."""
        return self.amount_units if self.fee_token else self.amount_units + self.fee_units

    def to_json(self) -> dict[str, Any]:
        return {
            "ref": self.reference,
            "payee": self.payee,
            "token": self.token,
            "amount_units": str(self.amount_units),
            "fee_units": str(self.fee_units),
            "fee_token": self.fee_token,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            reference=value["ref"],
            payee=value["payee"],
            token=value["token"],
            amount_units=int(value["amount_units"]),
            fee_units=int(value["fee_units"]),
            fee_token=value["fee_token"],
        )

    def call_data(self, *, policy: sessions.SessionPolicy) -> bytes:
        """Return the account's calldata.

        :raises ValueError: the payee or a token is not the policy's.
        """
        parties = [(self.payee, policy.payee), (self.token, policy.token)]
        if self.fee_token:
            parties.append((self.fee_token, policy.fee_token))
        if any(words.parse_address(asked) != allowed for asked, allowed in parties):
            raise ValueError("The grant is for another payee or token.")
        return payments.encode_pay_bill(
            payment=payments.BillPayment(
                policy=policy,
                reference=bytes.fromhex(self.reference[2:]),
                amount_units=self.amount_units,
                fee_units=self.fee_units,
                in_fee_token=self.fee_token is not None,
            )
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProgramPayout:
    """Pay many recipients from a treasury wallet, all or none, once per reference; on which program's account."""

    reference: str
    token: str
    recipients: tuple[str, ...]
    amounts_units: tuple[int, ...]
    program_id: uuid.UUID | None = None

    def to_json(self) -> dict[str, Any]:
        program = {} if self.program_id is None else {"program_id": str(self.program_id)}
        return program | {
            "ref": self.reference,
            "token": self.token,
            "recipients": list(self.recipients),
            "amounts": [str(units) for units in self.amounts_units],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            reference=value["ref"],
            token=value["token"],
            recipients=tuple(value["recipients"]),
            amounts_units=tuple(int(units) for units in value["amounts"]),
            program_id=uuid.UUID(value["program_id"]) if "program_id" in value else None,
        )

    @property
    def program_number(self) -> int:
        """Return the number of the program on the chain; zero for none."""
        return 0 if self.program_id is None else paymaster.program_number(self.program_id)

    def call_data(self, *, payouts: bytes) -> bytes:
        """Return the account's calldata: leave for the payouts contract to take the sum, and the batch."""
        token = words.parse_address(self.token)
        batch = tokens.PayoutBatch(
            reference=bytes.fromhex(self.reference[2:]),
            token=token,
            recipients=tuple(words.parse_address(recipient) for recipient in self.recipients),
            amounts_units=self.amounts_units,
        )
        leave = tokens.encode_approve(spender=payouts, amount_units=sum(self.amounts_units))
        return accounts.encode_execute_batch(
            calls=[
                accounts.Call(to=token, data=leave),
                accounts.Call(to=payouts, data=tokens.encode_pay_batch(batch=batch)),
            ]
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionRemoval:
    """End sessions for ever, signed by the owner."""

    session_ids: tuple[str, ...]

    @property
    def lane(self) -> int:
        """Return the key of a sequence of nonces that only the removals of its first session use."""
        return int.from_bytes(bytes.fromhex(self.session_ids[0][2:])[:_LANE_BYTES])

    def to_json(self) -> dict[str, Any]:
        return {"session_ids": list(self.session_ids)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(session_ids=tuple(value["session_ids"]))

    def call_data(self) -> bytes:
        """Return the account's calldata."""
        return accounts.encode_revoke_sessions(session_ids=[bytes.fromhex(i[2:]) for i in self.session_ids])
