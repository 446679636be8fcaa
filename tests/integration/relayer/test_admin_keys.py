"""Keys to the bundler in the admin: the token is shown once, what is kept opens nothing by itself."""

import pytest
from django import urls
from django.contrib import messages
from django.test import client

from customers import models as customer_models
from relayer import models, queries

pytestmark = pytest.mark.django_db(transaction=True)


def utility(slug: str) -> customer_models.Utility:
    found: customer_models.Utility = customer_models.Utility.objects.create(
        slug=slug, name=slug, chain_id=31337, treasury_address="0x" + "7e" * 20
    )
    return found


def administrator(of: customer_models.Utility) -> client.Client:
    user = customer_models.User.objects.create_user(email=f"{of.slug}@example.com", password="x", is_staff=True)
    customer_models.StaffRole.objects.create(user=user, utility=of, role=customer_models.StaffRole.Role.ADMINISTRATOR)
    browser = client.Client()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser


def make(browser: client.Client, of: customer_models.Utility) -> tuple[int, str]:
    """Fill in the form; return the status and the token that was shown, if any."""
    form = {
        "utility": of.pk,
        "application": "App",
        "scopes": ["operations:send", "sponsor"],
        "requests_per_minute": 60,
        "operations_per_day": 100,
        "sponsored_per_day": 10,
    }
    answer = browser.post(urls.reverse("admin:relayer_apikey_add"), form)
    said = [str(each) for each in messages.get_messages(answer.wsgi_request) if "shown only now" in str(each)]
    return answer.status_code, said[0].rsplit(" ", 1)[1] if said else ""


def test_an_administrator_makes_a_key_sees_its_token_once_and_revokes_it() -> None:
    ours = utility("ours")
    browser = administrator(ours)
    status, token = make(browser, ours)
    assert status == 302
    key = queries.find_api_keys(tokens=[token]).get(token)
    assert key is not None
    assert (key.scopes, key.operations_per_day) == (["operations:send", "sponsor"], 100)
    assert token.split("_", 2)[2].encode() not in bytes(key.digest)
    page = browser.get(urls.reverse("admin:relayer_apikey_change", args=[key.pk])).content.decode()
    page = browser.get(urls.reverse("admin:relayer_apikey_change", args=[key.pk])).content.decode()
    assert token.split("_", 2)[2] not in page
    chosen = {"action": "revoke", "_selected_action": [key.pk]}
    browser.post(urls.reverse("admin:relayer_apikey_changelist"), chosen)
    assert queries.find_api_keys(tokens=[token]).get(token) is None


def test_nobody_makes_keys_for_another_utility() -> None:
    ours, other = utility("ours"), utility("other")
    status, token = make(administrator(ours), other)
    assert (status, token) == (200, "")
    assert not models.ApiKey.objects.exists()
