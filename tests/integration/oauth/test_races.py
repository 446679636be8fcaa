"""Whatever comes at once is decided: one code, one refresh token, one grant."""

import concurrent.futures
import functools
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django import db
from jwcrypto import jwk

from custody import models as custody_models
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 4
# Twenty as a rule, a hundred in `make verify`.
ROUNDS = max(20, int(os.environ.get("PROPERTY_EXAMPLES", "100")) // 100)


def at_once(act: Callable[[int], Any], times: int = AT_ONCE) -> list[Any]:
    """Do the same thing from several threads, all starting together."""
    start = threading.Barrier(times)

    def run(number: int) -> Any:
        start.wait(10)
        try:
            return act(number)
        finally:
            db.connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def redeem(app: flow.MobileApp, code: str, _number: int) -> Any:
    return app.redeem(code)


def redeem_with(app: flow.MobileApp, code: str, proof: str, _number: int) -> Any:
    return app.redeem(code, proof=proof)


def refresh(app: flow.MobileApp, token: str, _number: int) -> Any:
    return app.refresh(token)


def nth(acts: Sequence[Callable[[], Any]], number: int) -> Any:
    return acts[number]()


def statuses(answers: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_four_redemptions_of_one_code_are_one_success(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        code = app.get_code()
        answers = at_once(functools.partial(redeem, app, code))
        assert statuses(answers) == {200: 1, 400: 3}
        assert all(answer["Content-Type"].startswith("application/json") for answer in answers)
        (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert flow.call("/api/v1/me/", winner["access_token"]).status_code == 200
    for rows in (models.AccessToken, models.RefreshToken, models.IDToken, models.SessionKeyGrant):
        assert rows.objects.count() == ROUNDS
    assert custody_models.SealedKey.objects.filter(purpose="session").count() == ROUNDS


def test_four_redemptions_without_the_verifier_or_key_of_the_winner_end_it(app: flow.MobileApp) -> None:
    for number in range(ROUNDS):
        code = app.get_code()
        thief = flow.MobileApp(application=app.application, user=None)
        if number % 2:
            thief.verifier, thief.key = app.verifier, jwk.JWK.generate(kty="EC", crv="P-256")
        answers = at_once(functools.partial(nth, [functools.partial(p.redeem, code) for p in (app, app, app, thief)]))
        assert set(statuses(answers)) <= {200, 400}
        assert statuses(answers)[200] <= 1
        assert answers[3].status_code == 400
        before = models.AccessToken.objects.count()
        assert thief.redeem(code).status_code == 400
        assert before <= 1
        assert models.AccessToken.objects.count() == 0
        assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()
    assert models.SessionKeyGrant.objects.count() == ROUNDS
    assert set(models.SessionKeyGrant.objects.values_list("state", flat=True)) == {"revoked"}


def test_four_refreshes_with_the_same_key_are_one_rotation_and_one_answer(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    for _ in range(ROUNDS):
        answers = at_once(functools.partial(refresh, app, tokens["refresh_token"]))
        assert statuses(answers) == {200: 4}
        assert len({answer.content for answer in answers}) == 1
        tokens = answers[0].json()
        assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 200
    assert models.AccessToken.objects.count() == 1
    assert models.RefreshToken.objects.filter(revoked__isnull=True).count() == 1
    assert models.RefreshToken.objects.count() == ROUNDS + 1
    assert models.SessionKeyGrant.objects.count() == 1


def test_a_refresh_with_another_key_among_four_ends_the_family(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        tokens = app.get_tokens()
        thief = flow.MobileApp(application=app.application, user=None, key=jwk.JWK.generate(kty="EC", crv="P-256"))
        acts = [functools.partial(p.refresh, tokens["refresh_token"]) for p in (app, app, app, thief)]
        answers = at_once(functools.partial(nth, acts))
        assert set(statuses(answers)) <= {200, 400}
        assert answers[3].status_code == 400
        assert models.AccessToken.objects.count() == 0
        assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()
        assert not models.RefreshToken.objects.filter(sealed_answer__isnull=False).exists()
    assert models.SessionKeyGrant.objects.count() == ROUNDS
    assert set(models.SessionKeyGrant.objects.values_list("state", flat=True)) == {"revoked"}


def test_four_refreshes_without_a_key_are_one_success_and_end_the_family(app: flow.MobileApp) -> None:
    app.key = None
    for _ in range(ROUNDS):
        tokens = app.get_tokens(flow.READING)
        answers = at_once(functools.partial(refresh, app, tokens["refresh_token"]))
        assert statuses(answers) == {200: 1, 400: 3}
    assert models.AccessToken.objects.count() == 0
    assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()


def test_one_proof_at_four_at_once_is_used_once(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        code = app.get_code(flow.READING)
        one = flow.proof(flow.KEY, "POST", "/oauth/token/")
        answers = at_once(functools.partial(redeem_with, app, code, one))
        assert statuses(answers) == {200: 1, 400: 3}
        refused = [answer.json()["error"] for answer in answers if answer.status_code == 400]
        assert refused == ["invalid_dpop_proof"] * 3


def test_a_pushed_request_at_four_browsers_at_once_is_shown_in_one(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        request_uri = app.push(**app.query()).json()["request_uri"]
        browsers = [flow.MobileApp(application=app.application, user=app.user) for _ in range(AT_ONCE)]
        pages = at_once(functools.partial(nth, [functools.partial(b.open_pushed, request_uri) for b in browsers]))
        assert statuses(pages) == {200: 1, 400: 3}


def test_four_answers_to_one_page_are_one_grant_and_one_code(app: flow.MobileApp) -> None:
    for made in range(1, ROUNDS + 1):
        page = app.open_consent()
        browsers = [flow.MobileApp(application=app.application, user=None) for _ in range(AT_ONCE)]
        for other in browsers:
            other.browser.cookies = app.browser.cookies
        answers = at_once(functools.partial(nth, [functools.partial(each.answer, page) for each in browsers]))
        assert statuses(answers)[302] == 1
        assert set(statuses(answers)) <= {302, 400, 409}
        assert models.SessionKeyGrant.objects.count() == models.Grant.objects.count() == made
        assert custody_models.SealedKey.objects.filter(purpose="session").count() == made
    assert set(models.SessionKeyGrant.objects.values_list("state", flat=True)) == {"pending"}


def test_refresh_against_revocation_leaves_nothing_alive(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        tokens = app.get_tokens()
        acts: list[Callable[[], Any]] = [
            functools.partial(app.refresh, tokens["refresh_token"]),
            functools.partial(app.revoke, tokens["refresh_token"]),
        ]
        answers = at_once(functools.partial(nth, acts), times=2)
        assert answers[0].status_code in {200, 400}
        assert answers[1].status_code == 200
        assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()
        assert not models.AccessToken.objects.exists()
        assert set(models.SessionKeyGrant.objects.values_list("state", flat=True)) == {"revoked"}


def test_refresh_against_the_end_of_its_device_leaves_nothing_alive(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        person = flow.MobileApp(application=app.application, user=app.user)
        tokens = person.get_tokens(flow.READING)
        sign_in = models.RefreshToken.objects.latest("pk").sign_in_id
        acts: list[Callable[[], Any]] = [
            functools.partial(person.refresh, tokens["refresh_token"]),
            functools.partial(person.browser.post, "/accounts/devices/", {"sign_in": str(sign_in)}),
        ]
        answers = at_once(functools.partial(nth, acts), times=2)
        assert answers[0].status_code in {200, 400}
        assert answers[1].status_code == 302
        assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()
        assert not models.AccessToken.objects.exists()


def test_a_code_against_a_sign_out_leaves_nothing_alive(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        app.user.refresh_from_db()
        person = flow.MobileApp(application=app.application, user=app.user)
        code = person.get_code()
        acts: list[Callable[[], Any]] = [
            functools.partial(person.redeem, code),
            functools.partial(person.browser.post, "/accounts/devices/", {"everywhere": "yes"}),
        ]
        answers = at_once(functools.partial(nth, acts), times=2)
        assert answers[0].status_code in {200, 400}
        assert answers[1].status_code == 302
        assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()
        assert not models.AccessToken.objects.exists()
    assert not models.SessionKeyGrant.objects.exclude(state="revoked").exists()


def test_an_answer_against_a_sign_out_leaves_nothing_alive(app: flow.MobileApp) -> None:
    for _ in range(ROUNDS):
        app.user.refresh_from_db()
        person = flow.MobileApp(application=app.application, user=app.user)
        page = person.open_consent()
        other = flow.MobileApp(application=app.application, user=None)
        other.browser.cookies = person.browser.cookies
        acts: list[Callable[[], Any]] = [
            functools.partial(person.answer, page),
            functools.partial(other.browser.post, "/accounts/devices/", {"everywhere": "yes"}),
        ]
        answers = at_once(functools.partial(nth, acts), times=2)
        assert answers[0].status_code in {302, 400, 409}
        assert answers[1].status_code == 302
        assert not models.Grant.objects.exists()
    assert not models.SessionKeyGrant.objects.exclude(state="revoked").exists()


def test_replay_against_refresh_of_a_reading_family_leaves_nothing_alive(app: flow.MobileApp) -> None:
    app.key = None
    for _ in range(ROUNDS):
        first = app.get_tokens(flow.READING)
        second = app.refresh(first["refresh_token"]).json()
        acts: list[Callable[[], Any]] = [
            functools.partial(app.refresh, second["refresh_token"]),
            functools.partial(app.refresh, first["refresh_token"]),
        ]
        answers = at_once(functools.partial(nth, acts), times=2)
        assert answers[1].status_code == 400
        assert not models.RefreshToken.objects.filter(revoked__isnull=True).exists()
        assert not models.AccessToken.objects.exists()
