"""The doors that belong to no app: health, metrics, the first page, and what is answered where nothing stands."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client

from openvpp import health
from tests.factories import customers

pytestmark = pytest.mark.django_db
OUTSIDE = "203.0.113.7"


@pytest.fixture(autouse=True)
def fresh_answers() -> Iterator[None]:
    health._all_migrated.cache_clear()
    yield
    health._all_migrated.cache_clear()


def test_live_asks_nobody(client: Client) -> None:
    answer = client.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert "no-store" in answer["Cache-Control"]


def test_ready_names_the_part_that_is_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CHAIN_RPC_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(settings, "SIGNER_URL", "http://127.0.0.1:1")
    monkeypatch.setitem(health.CHECKS, "migrations", lambda: None)

    answer = client.get("/health/ready")
    checks = answer.json()["checks"]

    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert {name: check["ok"] for name, check in checks.items()} == {
        "database": True,
        "migrations": True,
        "redis": True,
        "chain": False,
        "signer": False,
    }
    assert checks["chain"]["problem"] == "does not answer"


def test_ready_when_all_parts_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chain", "signer", "migrations"):
        monkeypatch.setitem(health.CHECKS, name, lambda: None)

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_metrics_are_for_this_machine_or_a_token(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "METRICS_TOKEN", "let me read")

    here = client.get("/metrics")
    forwarded = client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"})
    outside = client.get("/metrics", REMOTE_ADDR=OUTSIDE)
    wrong = client.get("/metrics", headers={"Authorization": "Bearer no"}, REMOTE_ADDR=OUTSIDE)
    right = client.get("/metrics", headers={"Authorization": "Bearer let me read"}, REMOTE_ADDR=OUTSIDE)

    assert [answer.status_code for answer in (here, forwarded, outside, wrong, right)] == [200, 404, 404, 404, 200]
    assert here["Content-Type"].startswith("application/openmetrics-text")
    assert 'openvpp_jobs{state="due"} 0.0' in here.content.decode()
    assert here.content.decode().count("# EOF") == 1


def test_no_token_set_means_nobody_outside(client: Client) -> None:
    assert client.get("/metrics", headers={"Authorization": "Bearer "}, REMOTE_ADDR=OUTSIDE).status_code == 404


def test_an_unknown_address_under_the_api_is_a_problem_document(client: Client) -> None:
    answer = client.get("/api/v1/nothing/")

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json() == {
        "type": "https://openvpp.org/problems/not_found",
        "title": "Not found",
        "status": 404,
        "code": "not_found",
        "detail": "There is nothing at this address.",
    }


def test_an_unknown_address_elsewhere_is_a_page(client: Client) -> None:
    answer = client.get("/nothing/")

    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this address." in answer.content.decode()


def test_a_crash_under_the_api_is_a_problem_document(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise RuntimeError("internal detail")

    monkeypatch.setitem(health.CHECKS, "database", crash)
    client.raise_request_exception = False

    answer = client.get("/health/ready")

    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert "internal detail" not in answer.content.decode()


def test_the_first_page_leads_everywhere(client: Client) -> None:
    page = client.get("/").content.decode()

    for address in ("/admin/", "/accounts/login/", "/api/v1/docs/", "/health/ready"):
        assert f'href="{address}"' in page


def test_the_docs_need_nothing_from_outside(client: Client) -> None:
    page = client.get("/api/v1/docs/").content.decode()

    assert "//cdn" not in page
    assert "https://" not in page.split("<body", 1)[1].replace("https://openvpp", "")


def test_who_may_not_open_a_page_is_told_as_whom_they_are_signed_in(client: Client) -> None:
    user = customers.User.create()
    client.force_login(user)

    answer = client.get("/admin/", follow=True)

    assert answer.status_code == 403
    assert f"You are signed in as {user.email}" in answer.content.decode()


def test_a_post_without_the_last_slash_is_refused_and_not_redirected(client: Client) -> None:
    answer = client.post("/api/v1/accounts/claim", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert client.get("/api/v1/docs").status_code == 301
