"""What a person agrees to when they let an application spend: one value from the page to the chain."""

import dataclasses
import datetime
import uuid
from collections.abc import Mapping
from typing import Any, Self

from contracts.bindings import sessions, words
from wallets.domain import authorization_details, client_keys

PERIOD = datetime.timedelta(days=30)
_INSTANTS = ("starts_at", "ends_at")
_ID_BITS, _SALT_BITS = 128, 48


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GrantTerms:
    """Limits are inclusive, in base units of `token`, network fees in that token included.

    Period k is `[starts_at + k * period_seconds, starts_at + (k + 1) * period_seconds)`, as the account counts it on
    the chain. `fee_cap_units` bounds the fee of one payment in `token`, `fee_token_cap_units` the same in
    `fee_token`. Instants are whole seconds. `shown_text` is what the person read. `client_key` is the public key (JWK)
    of the phone that signs by itself; without one the key is kept on the server.
    """

    payee: str
    payee_name: str
    token: str
    fee_token: str | None
    limit_per_payment_units: int
    limit_per_period_units: int
    period_seconds: int
    limit_total_units: int
    fee_cap_units: int
    fee_token_cap_units: int
    starts_at: datetime.datetime
    ends_at: datetime.datetime
    shown_text: str
    client_key: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse terms that contradict themselves.

        :raises ValueError: limits not in order, or times not forward.
        """
        if not 0 < self.limit_per_payment_units <= self.limit_per_period_units <= self.limit_total_units:
            raise ValueError("Limits per payment, period and in total must grow in this order.")
        if self.ends_at <= self.starts_at or any(getattr(self, name).microsecond for name in _INSTANTS):
            raise ValueError("A grant starts at a whole second and ends at a later one.")

    def details(self, *, wallet: str, identifier: str) -> authorization_details.Details:
        """Return the same as authorization details: what applications are told that they were granted."""
        caps = ((self.token, self.fee_cap_units), (self.fee_token, self.fee_token_cap_units))
        return authorization_details.Details(
            identifier=identifier,
            wallet=wallet,
            payee=self.payee,
            limits=authorization_details.TokenLimits(
                token=self.token,
                per_operation_units=self.limit_per_payment_units,
                per_period_units=self.limit_per_period_units,
                period_seconds=self.period_seconds,
                total_units=self.limit_total_units,
            ),
            fee_bounds=tuple(
                authorization_details.FeeBound(token=token, per_operation_units=cap)
                for token, cap in caps
                if token is not None and (cap or token != self.token)
            ),
            not_before=int(self.starts_at.timestamp()),
            not_after=int(self.ends_at.timestamp()),
            client_key=self.client_key,
            shown_text_digest="0x" + words.keccak(self.shown_text.encode()).hex(),
        )

    def policy(self, *, grant_id: uuid.UUID) -> sessions.SessionPolicy:
        """Return what the account installs for the phone's own key.

        The salt is the beginning of the grant's random id: the same phone may be given the same leave again, and what
        was revoked once is never installed again.

        :raises ValueError: there is no such key.
        """
        if self.client_key is None:
            raise ValueError("The key of these terms is kept on the server, with its policy.")
        return sessions.SessionPolicy(
            key=client_keys.name_of(self.client_key),
            payee=words.parse_address(self.payee),
            token=words.parse_address(self.token),
            fee_token=words.parse_address(self.fee_token) if self.fee_token else words.ZERO_ADDRESS,
            max_per_payment_units=self.limit_per_payment_units,
            max_per_period_units=self.limit_per_period_units,
            max_total_units=self.limit_total_units,
            max_fee_units=self.fee_cap_units,
            max_fee_in_fee_token_units=self.fee_token_cap_units,
            starts_at=int(self.starts_at.timestamp()),
            ends_at=int(self.ends_at.timestamp()),
            period_seconds=self.period_seconds,
            salt=grant_id.int >> _ID_BITS - _SALT_BITS,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can carry."""
        return {
            name: value.isoformat() if isinstance(value, datetime.datetime) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the terms that `to_json` wrote."""
        instants = {name: datetime.datetime.fromisoformat(value[name]) for name in _INSTANTS}
        return cls(**{**value, **instants})
