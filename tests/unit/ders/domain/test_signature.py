"""Messages are believed when signed and fresh."""

import datetime
import hashlib
import hmac

import pytest

from ders.domain import signature

NOW = datetime.datetime(2026, 7, 16, 21, tzinfo=datetime.UTC)
SECRET, BODY = b"s" * 32, b'{"event_id": "1"}'


def test_the_signature_is_hmac_over_timestamp_and_body() -> None:
    digest = hmac.new(SECRET, b"1784235600." + BODY, hashlib.sha256).hexdigest()
    assert signature.sign(secret=SECRET, body=BODY, now=NOW) == f"t=1784235600,v1={digest}"


def test_a_fresh_signature_is_genuine() -> None:
    header = signature.sign(secret=SECRET, body=BODY, now=NOW)
    later = NOW + signature.REPLAY_WINDOW
    assert signature.verify(secret=SECRET, body=BODY, header=header, now=later) == signature.Genuine()


@pytest.mark.parametrize("seconds", [301, -301])
def test_outside_the_replay_window_it_is_rejected(seconds: int) -> None:
    header = signature.sign(secret=SECRET, body=BODY, now=NOW)
    verdict = signature.verify(secret=SECRET, body=BODY, header=header, now=NOW + datetime.timedelta(seconds=seconds))
    assert verdict == signature.Rejected("outside the replay window")


def test_another_body_secret_or_time_is_rejected() -> None:
    header = signature.sign(secret=SECRET, body=BODY, now=NOW)
    wrong = signature.Rejected("wrong signature")
    assert signature.verify(secret=SECRET, body=BODY + b" ", header=header, now=NOW) == wrong
    assert signature.verify(secret=b"t" * 32, body=BODY, header=header, now=NOW) == wrong
    moved = header.replace("t=1784235600", "t=1784235601")
    assert signature.verify(secret=SECRET, body=BODY, header=moved, now=NOW) == wrong


@pytest.mark.parametrize("header", ["", "v1=00", "t=1,v1=zz", "t=-1,v1=" + "0" * 64, "t=1,v1=" + "0" * 64 + ",v1=1"])
def test_a_malformed_header_is_rejected(header: str) -> None:
    verdict = signature.verify(secret=SECRET, body=BODY, header=header, now=NOW)
    assert verdict == signature.Rejected("no signature")
