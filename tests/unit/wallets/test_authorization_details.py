"""Authorization details: one form, and nothing beside it."""

import base64
import copy
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.bindings import words
from wallets.domain import authorization_details

TOKEN = words.checksummed(bytes.fromhex("70ce".rjust(40, "0")))
OTHER = "0x00000000000000000000000000000000000000b0"
PAYEE = "0x9A3bC3F4dD0b3f2cA3f8a5B1a6f1cB0F3c9D8e77".lower()
SOUND: dict[str, Any] = {
    "type": "ovpp_session_key",
    "actions": ["pay_bills"],
    "wallet": PAYEE,
    "payee": PAYEE,
    "tokens": [
        {
            "token": TOKEN.lower(),
            "limit_per_operation": "100",
            "limit_per_period": "200",
            "period_seconds": 2_592_000,
            "limit_total": "79228162514264337593543950335",
        }
    ],
    "fee": {"mode": "customer", "bounds": [{"token": TOKEN.lower(), "limit_per_operation": "5"}]},
    "not_before": 1_800_000_000,
    "not_after": 1_900_000_000,
    "key": {"mode": "custodial"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return sound details with one member put in, or left out (None)."""
    details = copy.deepcopy(SOUND)
    *parents, name = path.split(".")
    place: Any = details
    for step in parents:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is None:
        place.pop(name)
    else:
        place[name] = value
    return details


def jwk(curve: ec.EllipticCurve, name: str) -> dict[str, str]:
    numbers = ec.generate_private_key(curve).public_key().public_numbers()

    def text(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()

    return {"kty": "EC", "crv": name, "x": text(numbers.x), "y": text(numbers.y)}


def test_sound_details_are_read_exactly_and_written_again() -> None:
    details = authorization_details.parse(json.dumps([SOUND]))
    assert details.limits.per_operation_units == 100
    assert details.limits.total_units == 2**96 - 1
    assert details.limits.period_seconds == 30 * 86_400
    assert [bound.per_operation_units for bound in details.fee_bounds] == [5]
    assert (details.not_before, details.not_after, details.client_key) == (1_800_000_000, 1_900_000_000, None)
    again = details.to_json()
    assert again["payee"].lower() == PAYEE
    assert authorization_details.Details.from_json(again) == details


def test_what_the_server_fills_in_may_be_left_out() -> None:
    asked = {name: value for name, value in SOUND.items() if name not in {"wallet", "payee", "not_before"}}
    details = authorization_details.parse(json.dumps([asked | {"fee": {"mode": "utility"}}]))
    assert (details.wallet, details.payee, details.not_before, details.fee_bounds) == (None, None, None, ())


@pytest.mark.parametrize(("curve", "name"), [(ec.SECP256R1(), "P-256"), (ec.SECP256K1(), "secp256k1")])
def test_a_key_of_the_phones_own_is_read(curve: ec.EllipticCurve, name: str) -> None:
    key = jwk(curve, name)
    details = authorization_details.parse(json.dumps([changed("key", {"mode": "client", "jwk": key})]))
    assert details.client_key == key
    assert details.to_json()["key"] == {"mode": "client", "jwk": key}


P256 = jwk(ec.SECP256R1(), "P-256")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("type", "payment_initiation"),
        ("type", None),
        ("actions", ["pay_bills", "withdraw"]),
        ("actions", []),
        ("actions", "pay_bills"),
        ("tokens", []),
        ("tokens", {}),
        ("tokens", SOUND["tokens"] * 2),
        ("tokens.0.limit_per_operation", 100),
        ("tokens.0.limit_per_operation", "0"),
        ("tokens.0.limit_per_operation", "-1"),
        ("tokens.0.limit_per_operation", "1.5"),
        ("tokens.0.limit_per_operation", "1e3"),
        ("tokens.0.limit_per_operation", "٣"),
        ("tokens.0.limit_per_operation", "0100"),
        ("tokens.0.limit_per_operation", "201"),
        ("tokens.0.limit_per_operation", None),
        ("tokens.0.limit_total", "199"),
        ("tokens.0.limit_total", str(2**96)),
        ("tokens.0.limit_total", "9" * 5000),
        ("tokens.0.period_seconds", 0),
        ("tokens.0.period_seconds", 86_401),
        ("tokens.0.period_seconds", True),
        ("tokens.0.period_seconds", 367 * 86_400),
        ("tokens.0.token", "0x0"),
        ("tokens.0.token", "0x" + "0" * 40),
        ("tokens.0.token", TOKEN.replace("0x", "").swapcase().join(["0x", ""])),
        ("tokens.0.extra", "1"),
        ("payee", "harbor.eth"),
        ("wallet", 7),
        ("fee", "utility"),
        ("fee", {"mode": "nobody"}),
        ("fee", {"mode": "utility", "bounds": []}),
        ("fee", {"mode": "customer"}),
        ("fee", {"mode": "customer", "bounds": []}),
        ("fee.bounds.0.limit_per_operation", "0"),
        ("fee.bounds", [{"token": TOKEN, "limit_per_operation": "1"}] * 2),
        (
            "fee.bounds",
            [{"token": OTHER, "limit_per_operation": "1"}, {"token": PAYEE, "limit_per_operation": "1"}],
        ),
        ("not_after", 1_800_000_000),
        ("not_after", "1900000000"),
        ("not_after", 1_900_000_000.5),
        ("not_after", 2**40),
        ("not_after", None),
        ("not_before", True),
        ("key", {}),
        ("key", {"mode": "custodial", "jwk": P256}),
        ("key", {"mode": "client"}),
        ("key", {"mode": "client", "jwk": P256 | {"d": P256["x"]}}),
        ("key", {"mode": "client", "jwk": P256 | {"kty": "RSA"}}),
        ("key", {"mode": "client", "jwk": P256 | {"crv": "secp256k1"}}),
        ("key", {"mode": "client", "jwk": P256 | {"x": P256["x"] + "="}}),
        ("key", {"mode": "client", "jwk": P256 | {"x": "AAAA"}}),
        ("key", {"mode": "client", "jwk": P256 | {"x": 1}}),
        ("key", None),
        ("identifier", "grant"),
        ("shown_text_digest", "0x00"),
        ("locations", ["https://example.com"]),
        ("memo", "more than is shown"),
    ],
)
def test_anything_else_is_refused(path: str, value: Any) -> None:
    with pytest.raises(authorization_details.UnableToReadDetails):
        authorization_details.parse(json.dumps([changed(path, value)]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[null]",
        json.dumps(SOUND),
        json.dumps([SOUND, SOUND]),
        json.dumps([SOUND])[:-2] + ', "type": "ovpp_session_key"}]',
        json.dumps([SOUND]).replace("1900000000", "NaN"),
        "[" * 4000,
        " " * 9000 + json.dumps([SOUND]),
    ],
)
def test_what_is_not_exactly_one_unambiguous_object_is_refused(text: str) -> None:
    with pytest.raises(authorization_details.UnableToReadDetails):
        authorization_details.parse(text)
