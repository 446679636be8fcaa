"""Four callers for each endpoint of people and accounts: nobody, wrong scope, another customer, the right one."""

import pytest
from django import test

from customers import models
from tests.factories import customers, wallets

pytestmark = pytest.mark.django_db(transaction=True)

PROOF = "7K2M-QX4D"


def headers(access: models.AccountAccess | None = None, scope: str = wallets.ALL_USER_SCOPES) -> dict[str, str]:
    user = access.customer.user if access else customers.User.create()
    utility = access.account.utility if access else customers.Utility.create()
    token = wallets.AccessToken.create(user=user, scope=scope, application__utility=utility)
    token.token = token.token or ""
    return {"Authorization": f"Bearer {raw(token)}"}


def raw(token: object) -> str:
    return str(token.token)  # type: ignore[attr-defined]


@pytest.fixture
def access() -> models.AccountAccess:
    """Ada, holder of an account with service."""
    made: models.AccountAccess = customers.AccountAccess.create()
    customers.ServiceAgreement.create(account=made.account)
    return made


@pytest.mark.parametrize("path", ["/api/v1/me/", "/api/v1/accounts/"])
def test_nobody_and_wrong_scope(client: test.Client, access: models.AccountAccess, path: str) -> None:
    nobody = client.get(path)
    assert nobody.status_code == 401
    assert nobody["WWW-Authenticate"].startswith("Bearer")
    assert nobody["Content-Type"] == "application/problem+json"
    wrong = client.get(path, headers=headers(access, scope="bills:read"))
    assert (wrong.status_code, wrong.json()["code"]) == (403, "insufficient_scope")


def test_a_system_is_nobody_in_particular(client: test.Client) -> None:
    token = wallets.AccessToken.create(user=None, application=wallets.SystemApplication.create(), scope="account:read")
    answer = client.get("/api/v1/me/", headers={"Authorization": f"Bearer {raw(token)}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "person_required")


def test_me(client: test.Client, access: models.AccountAccess) -> None:
    customers.Customer.create()
    told = client.get("/api/v1/me/", headers=headers(access)).json()
    person = access.customer.user
    assert (told["id"], told["email"]) == (person.pk, person.email)
    assert [row["id"] for row in told["customers"]] == [access.customer_id]
    assert told["customers"][0]["utility"]["slug"] == access.account.utility.slug


def test_accounts_are_the_persons_own(client: test.Client, access: models.AccountAccess) -> None:
    other = customers.AccountAccess.create(account__utility=access.account.utility)
    (mine,) = client.get("/api/v1/accounts/", headers=headers(access)).json()["results"]
    assert (mine["number"], mine["role"]) == (access.account.number, "holder")
    assert mine["service"][0]["premise"]["city"] == "Harborview"
    assert "claim_proof" not in mine
    (theirs,) = client.get("/api/v1/accounts/", headers=headers(other)).json()["results"]
    assert theirs["number"] == other.account.number


def test_claim_four_callers(client: test.Client, access: models.AccountAccess) -> None:
    account = customers.claimable_account(proof=PROOF, utility=access.account.utility)
    body = {"number": account.number, "proof": PROOF}

    def post(**kwargs: object) -> tuple[int, dict[str, object]]:
        answer = client.post("/api/v1/accounts/claim/", body, content_type="application/json", **kwargs)  # type: ignore[arg-type]
        return answer.status_code, answer.json()

    assert post()[0] == 401
    assert post(headers=headers(access, scope="account:read"))[0] == 403
    stranger = post(headers=headers())
    assert (stranger[0], stranger[1]["code"]) == (422, "claim_refused")
    assert not models.AccountAccess.objects.filter(account=account).exists()
    status, told = post(headers=headers(access))
    assert (status, told["number"], told["role"]) == (201, account.number, "holder")
    assert post(headers=headers(access))[0] == 200


def test_claim_names_the_wrong_fields(client: test.Client, access: models.AccountAccess) -> None:
    answer = client.post("/api/v1/accounts/claim/", {}, content_type="application/json", headers=headers(access))
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"number", "proof"}
