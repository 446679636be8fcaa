"""Rich authorization requests (RFC 9396) of type `ovpp_session_key`: what an application asks to spend.

The form is closed: a member, an action or a type that is not known here is refused, so that nothing can be asked that
the consent page does not show. Amounts are base units as decimal strings, instants whole Unix seconds.
"""

import base64
import binascii
import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec

from contracts.bindings import words
from openvpp.core import errors

TYPE = "ovpp_session_key"
ACTIONS = ("pay_bills",)
MOST_CHARACTERS = 8192
DAY_SECONDS = 86_400
MOST_PERIOD_SECONDS = 366 * DAY_SECONDS
_MOST_UNITS = 2**96 - 1
_LAST_SECOND = 2**40 - 1
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_UNITS = re.compile(r"[1-9][0-9]{0,28}")
_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "secp256k1": ec.SECP256K1()}
_COORDINATE_BYTES = 32
_JWK_MEMBERS = ("kty", "crv", "x", "y")


class UnableToReadDetails(errors.Invalid):
    """The authorization details are not of the one form that is known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """Most of one token that may leave the wallet, each inclusive."""

    token: str
    per_operation_units: int
    per_period_units: int
    period_seconds: int
    total_units: int

    def to_json(self) -> dict[str, Any]:
        return {
            "token": self.token,
            "limit_per_operation": str(self.per_operation_units),
            "limit_per_period": str(self.per_period_units),
            "period_seconds": self.period_seconds,
            "limit_total": str(self.total_units),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FeeBound:
    """Most network fee of one operation in one token, inclusive."""

    token: str
    per_operation_units: int

    def to_json(self) -> dict[str, Any]:
        return {"token": self.token, "limit_per_operation": str(self.per_operation_units)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """One session key that is asked for. What may be None is for the server to fill in before a person reads it.

    `identifier` is the grant's, `shown_text_digest` the Keccak-256 of the words on the consent page; both are the
    server's to give: an application that sends one is refused.
    """

    wallet: str | None
    payee: str | None
    limits: TokenLimits
    fee_bounds: tuple[FeeBound, ...] = ()
    not_before: int | None
    not_after: int
    client_key: Mapping[str, str] | None = None
    identifier: str | None = None
    shown_text_digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as it is told to applications; what is not yet known is left out."""
        told: dict[str, Any] = {"type": TYPE, "actions": list(ACTIONS)}
        if self.identifier is not None:
            told["identifier"] = self.identifier
        if self.wallet is not None:
            told["wallet"] = self.wallet
        if self.payee is not None:
            told["payee"] = self.payee
        told["tokens"] = [self.limits.to_json()]
        told["fee"] = (
            {"mode": "customer", "bounds": [bound.to_json() for bound in self.fee_bounds]}
            if self.fee_bounds
            else {"mode": "utility"}
        )
        if self.not_before is not None:
            told["not_before"] = self.not_before
        told["not_after"] = self.not_after
        told["key"] = (
            {"mode": "client", "jwk": dict(self.client_key)} if self.client_key is not None else {"mode": "custodial"}
        )
        if self.shown_text_digest is not None:
            told["shown_text_digest"] = self.shown_text_digest
        return told

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return what `to_json` wrote, or what an application sent.

        :raises UnableToReadDetails: it is not of the form.
        """
        found = _members(
            value,
            required=("type", "actions", "tokens", "fee", "not_after", "key"),
            optional=("wallet", "payee", "not_before"),
            what="authorization_details[0]",
        )
        if found["type"] != TYPE:
            raise UnableToReadDetails(f"The only type that is known is {TYPE}.")
        if found["actions"] != list(ACTIONS):
            raise UnableToReadDetails(f"actions must be {json.dumps(list(ACTIONS))}.")
        limits = _limits(found["tokens"])
        not_before = _instant(found["not_before"], "not_before") if "not_before" in found else None
        not_after = _instant(found["not_after"], "not_after")
        if not_before is not None and not_after <= not_before:
            raise UnableToReadDetails("not_after must be later than not_before.")
        return cls(
            wallet=_address(found["wallet"], "wallet") if "wallet" in found else None,
            payee=_address(found["payee"], "payee") if "payee" in found else None,
            limits=limits,
            fee_bounds=_fee_bounds(found["fee"], token=limits.token),
            not_before=not_before,
            not_after=not_after,
            client_key=_client_key(found["key"]),
        )


def parse(text: str, /) -> Details:
    """Return the one session key that the parameter `authorization_details` asks for.

    :raises UnableToReadDetails: not JSON, ambiguous, not exactly one, or not of the form.
    """
    if len(text) > MOST_CHARACTERS:
        raise UnableToReadDetails(f"authorization_details has more than {MOST_CHARACTERS} characters.")
    try:
        value = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnableToReadDetails("authorization_details is not sound JSON.") from error
    if not isinstance(value, list) or len(value) != 1:
        raise UnableToReadDetails("authorization_details must be an array of exactly one session key.")
    return Details.from_json(value[0])


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is repeated")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _members(value: Any, *, required: tuple[str, ...], optional: tuple[str, ...] = (), what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnableToReadDetails(f"{what} must be an object.")
    if missing := [name for name in required if name not in value]:
        raise UnableToReadDetails(f"{what} lacks {', '.join(missing)}.")
    if unknown := sorted(set(value) - {*required, *optional}):
        raise UnableToReadDetails(f"{what} has members that are not known: {', '.join(unknown)[:200]}.")
    return value


def _address(value: Any, what: str) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value) or not int(value, 16):
        raise UnableToReadDetails(f"{what} must be an address of 0x and 40 hex digits.")
    checksummed = words.checksummed(bytes.fromhex(value[2:]))
    if value not in (checksummed, value.lower()):
        raise UnableToReadDetails(f"{what} fails its checksum (EIP-55).")
    return checksummed


def _amount(value: Any, what: str) -> int:
    if not isinstance(value, str) or not _UNITS.fullmatch(value) or int(value) > _MOST_UNITS:
        raise UnableToReadDetails(f"{what} must be base units above zero, as a string of decimal digits.")
    return int(value)


def _instant(value: Any, what: str) -> int:
    if type(value) is not int or not 0 < value <= _LAST_SECOND:
        raise UnableToReadDetails(f"{what} must be a whole number of seconds since 1970.")
    return value


def _limits(value: Any) -> TokenLimits:
    if not isinstance(value, list) or len(value) != 1:
        raise UnableToReadDetails("tokens must name exactly one token: a session key pays in one.")
    found = _members(
        value[0],
        required=("token", "limit_per_operation", "limit_per_period", "period_seconds", "limit_total"),
        what="tokens[0]",
    )
    limits = TokenLimits(
        token=_address(found["token"], "tokens[0].token"),
        per_operation_units=_amount(found["limit_per_operation"], "limit_per_operation"),
        per_period_units=_amount(found["limit_per_period"], "limit_per_period"),
        period_seconds=_instant(found["period_seconds"], "period_seconds"),
        total_units=_amount(found["limit_total"], "limit_total"),
    )
    if limits.period_seconds % DAY_SECONDS or limits.period_seconds > MOST_PERIOD_SECONDS:
        raise UnableToReadDetails("period_seconds must be whole days, at most 366 of them.")
    if not limits.per_operation_units <= limits.per_period_units <= limits.total_units:
        raise UnableToReadDetails("Limits per operation, per period and in total must grow in this order.")
    return limits


def _fee_bounds(value: Any, *, token: str) -> tuple[FeeBound, ...]:
    mode = value.get("mode") if isinstance(value, dict) else None
    if mode == "utility":
        _members(value, required=("mode",), what="fee")
        return ()
    if mode != "customer":
        raise UnableToReadDetails("fee.mode must be utility or customer.")
    listed = _members(value, required=("mode", "bounds"), what="fee")["bounds"]
    if not isinstance(listed, list) or not listed:
        raise UnableToReadDetails("fee.bounds must bound the fee in one token at least.")
    bounds = []
    for number, bound in enumerate(listed):
        found = _members(bound, required=("token", "limit_per_operation"), what=f"fee.bounds[{number}]")
        bounds.append(
            FeeBound(
                token=_address(found["token"], f"fee.bounds[{number}].token"),
                per_operation_units=_amount(found["limit_per_operation"], f"fee.bounds[{number}].limit_per_operation"),
            )
        )
    named = [bound.token for bound in bounds]
    if len(set(named)) != len(named) or len(set(named) - {token}) > 1:
        raise UnableToReadDetails("fee.bounds may name the token that is paid in and one other, each once.")
    return tuple(bounds)


def _client_key(value: Any) -> Mapping[str, str] | None:
    mode = value.get("mode") if isinstance(value, dict) else None
    if mode == "custodial":
        _members(value, required=("mode",), what="key")
        return None
    if mode != "client":
        raise UnableToReadDetails("key.mode must be custodial or client.")
    key = _members(_members(value, required=("mode", "jwk"), what="key")["jwk"], required=_JWK_MEMBERS, what="key.jwk")
    curve = _CURVES.get(key["crv"]) if isinstance(key["crv"], str) else None
    if key["kty"] != "EC" or curve is None:
        raise UnableToReadDetails("key.jwk must be a public key of P-256 or secp256k1.")
    try:
        ec.EllipticCurvePublicNumbers(_coordinate(key["x"]), _coordinate(key["y"]), curve).public_key()
    except (ValueError, TypeError, binascii.Error) as error:
        raise UnableToReadDetails("key.jwk is not a point of its curve.") from error
    return {name: key[name] for name in _JWK_MEMBERS}


def _coordinate(value: Any) -> int:
    raw = base64.urlsafe_b64decode(value + "=")
    if len(raw) != _COORDINATE_BYTES or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != value:
        raise ValueError("not 32 bytes of base64url")
    return int.from_bytes(raw, "big")
