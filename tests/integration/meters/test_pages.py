"""The customer's page of usage and its downloads, in a browser that signed in."""

import pytest
from django import test

from customers import models as customers_models
from tests.factories import customers


def browser(user: customers_models.User | None) -> test.Client:
    client = test.Client()
    if user is not None:
        client.force_login(user)
    return client


def query(agreement: customers_models.ServiceAgreement) -> dict[str, str]:
    return {"service_point": str(agreement.service_point_id), "from": "2012-04-01", "to": "2012-05-01"}


def test_customer_sees_a_plot_of_their_own_days_only(holder: customers_models.User) -> None:
    page = browser(holder).get("/usage/")

    text = page.content.decode()
    assert page.status_code == 200
    assert "Daily usage from 10 April 2012 to 19 April 2012" in text
    assert 'name="to" required value="2012-04-20"' in text


def test_empty_states_say_what_happens_next(agreement: customers_models.ServiceAgreement) -> None:
    nobody_yet = customers.Customer.create().user
    newcomer = customers.AccountAccess.create(account=customers.ServiceAgreement.create().account).customer.user

    assert "Link your account" in browser(nobody_yet).get("/usage/").content.decode()
    assert "No meter readings yet" in browser(newcomer).get("/usage/").content.decode()


@pytest.mark.parametrize(("name", "beginning"), [("csv", b"starts_at,"), ("green-button", b"<?xml")])
def test_downloads_follow_the_same_rules_as_the_api(
    agreement: customers_models.ServiceAgreement, holder: customers_models.User, name: str, beginning: bytes
) -> None:
    csr = customers.StaffRole.create(utility=agreement.account.utility).user
    asked = query(agreement)

    answer = browser(holder).get(f"/usage/{name}/", asked)

    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined] # a streaming response
    assert content.startswith(beginning)
    assert b"".join(browser(csr).get(f"/usage/{name}/", asked).streaming_content).startswith(beginning)  # type: ignore[attr-defined]
    assert browser(None).get(f"/usage/{name}/", asked).status_code == 302
    for stranger in (customers.Customer.create().user, customers.StaffRole.create().user):
        refused = browser(stranger).get(f"/usage/{name}/", asked)
        assert refused.status_code == 404
        assert b"no such service point" in refused.content
    assert browser(holder).get(f"/usage/{name}/", asked | {"to": ""}).status_code == 400
