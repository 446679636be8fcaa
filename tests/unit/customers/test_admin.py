"""The admin: four callers and staff of another utility; what a role may not do is refused by address too."""

from typing import Any

import pytest
from allauth.mfa import models as mfa_models
from allauth.socialaccount import models as social_models
from django import test
from django.contrib import admin
from django.urls import reverse

from customers import models
from tests.factories import customers, wallets
from wallets import models as wallet_models

pytestmark = pytest.mark.django_db

PAGES: dict[str, Any] = {
    "utility": customers.Utility,
    "acceptedtoken": customers.AcceptedToken,
    "customer": customers.Customer,
    "customeraccount": customers.CustomerAccount,
    "premise": customers.Premise,
    "servicepoint": customers.ServicePoint,
    "serviceagreement": customers.ServiceAgreement,
    "meterinstallation": customers.MeterInstallation,
}


def browser(user: models.User | None) -> test.Client:
    client = test.Client()
    if user is not None:
        client.force_login(user)
    return client


def staff(utility: Any, role: str = "csr") -> models.User:
    return customers.StaffRole.create(utility=utility, role=role).user


def utility_of(row: object) -> models.Utility:
    found = row
    for name in type(row).utility_path.split("__"):  # type: ignore[attr-defined]
        found = found if name == "id" else getattr(found, name)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("name", PAGES)
def test_list_and_page_show_own_utility_alone(name: str) -> None:
    mine, theirs = PAGES[name].create(), PAGES[name].create()
    listing, page = (
        reverse(f"admin:customers_{name}_changelist"),
        reverse(f"admin:customers_{name}_change", args=[mine.pk]),
    )
    other_page = reverse(f"admin:customers_{name}_change", args=[theirs.pk])
    csr = browser(staff(utility_of(mine)))
    answer = csr.get(listing)
    assert list(answer.context["cl"].queryset) == [mine]
    assert utility_of(theirs).name not in answer.content.decode()
    assert csr.get(page).status_code == 200
    assert csr.get(other_page).status_code == 302
    assert csr.post(other_page, {}).status_code in {302, 403}
    for stranger in (None, customers.User.create(), customers.Customer.create(utility=utility_of(mine)).user):
        assert browser(stranger).get(page).status_code == 302
    nobodys = customers.StaffUser.create()
    assert browser(nobodys).get(listing).status_code == 403
    operator = customers.StaffUser.create(is_superuser=True)
    assert set(browser(operator).get(listing).context["cl"].queryset) >= {mine, theirs}


@pytest.mark.parametrize(
    ("role", "may_write"),
    [
        ("csr", True),
        ("administrator", True),
        ("auditor", False),
        ("billing_analyst", False),
        ("program_manager", False),
    ],
)
def test_who_writes_customers(role: str, *, may_write: bool) -> None:
    customer = customers.Customer.create(name="Before")
    page = reverse("admin:customers_customer_change", args=[customer.pk])
    body = {
        "utility": customer.utility_id,
        "name": "After",
        "email": "",
        "phone": "",
        "accesses-TOTAL_FORMS": 0,
        "accesses-INITIAL_FORMS": 0,
    }
    answer = browser(staff(customer.utility, role)).post(page, body)
    customer.refresh_from_db()
    assert (answer.status_code, customer.name) == ((302, "After") if may_write else (403, "Before"))


def test_a_row_cannot_be_moved_to_or_made_at_another_utility() -> None:
    customer, elsewhere = customers.Customer.create(), customers.Utility.create()
    csr = browser(staff(customer.utility))
    body = {
        "utility": elsewhere.pk,
        "name": "Moved",
        "accesses-TOTAL_FORMS": 0,
        "accesses-INITIAL_FORMS": 0,
    }
    assert csr.post(reverse("admin:customers_customer_change", args=[customer.pk]), body).status_code == 200
    assert csr.post(reverse("admin:customers_customer_add"), body).status_code == 200
    assert not models.Customer.objects.filter(utility=elsewhere).exists()


def test_a_role_at_one_utility_gives_nothing_on_the_inlines_of_another() -> None:
    customer = customers.Customer.create()
    user = staff(customer.utility, "auditor")
    customers.StaffRole.create(user=user, role="csr")
    account = customers.CustomerAccount.create(utility=customer.utility)
    body = {
        "utility": customer.utility_id,
        "name": "x",
        "accesses-TOTAL_FORMS": 1,
        "accesses-INITIAL_FORMS": 0,
        "accesses-0-account": account.pk,
        "accesses-0-role": "holder",
        "accesses-0-customer": customer.pk,
    }
    answer = browser(user).post(reverse("admin:customers_customer_change", args=[customer.pk]), body)
    assert answer.status_code == 403
    assert not models.AccountAccess.objects.exists()


def test_where_money_goes_is_the_operators_alone() -> None:
    token = customers.AcceptedToken.create()
    administrator = browser(staff(token.utility, "administrator"))
    page = administrator.get(reverse("admin:customers_utility_change", args=[token.utility_id]))
    assert "treasury_address" not in page.context["adminform"].form.fields
    assert administrator.get(reverse("admin:customers_acceptedtoken_add")).status_code == 403
    assert administrator.get(reverse("admin:customers_staffrole_add")).status_code == 403
    assert administrator.get(reverse("admin:customers_user_changelist")).status_code == 403


def test_the_proofs_hash_is_neither_shown_nor_searched() -> None:
    account = customers.claimable_account(proof="secret")
    csr = browser(staff(account.utility))
    page = csr.get(reverse("admin:customers_customeraccount_change", args=[account.pk]))
    assert account.claim_proof not in page.content.decode()
    listing = reverse("admin:customers_customeraccount_changelist")
    assert csr.get(listing, {"claim_proof__startswith": "md5"}).status_code in {302, 400}


def test_an_account_number_or_meter_serial_finds_the_customer() -> None:
    access = customers.AccountAccess.create()
    agreement = customers.ServiceAgreement.create(account=access.account)
    meter = customers.MeterInstallation.create(service_point=agreement.service_point)
    csr = browser(staff(access.account.utility))
    for words in (access.account.number, meter.serial, access.customer.user.email, access.customer.name):
        rows = csr.get(reverse("admin:customers_customer_changelist"), {"q": words}).context["cl"].queryset
        assert list(rows) == [access.customer]


def test_switching_a_person_off_ends_their_grants() -> None:
    grant = wallets.SessionKeyGrant.create()
    operator = browser(customers.StaffUser.create(is_superuser=True))
    page = reverse("admin:customers_user_change", args=[grant.user_id])
    body = {"email": grant.user.email, "name": grant.user.name}
    assert operator.post(page, body).status_code == 302
    grant.refresh_from_db()
    grant.key.refresh_from_db()
    assert (grant.user.is_active, grant.state) == (False, "revoked")
    assert grant.key.disabled_at is not None


def test_staff_sign_in_by_the_door_that_counts_guesses() -> None:
    answer = test.Client().get("/admin/login/?next=/admin/")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    answer = test.Client().post("/admin/login/", {"username": "a@example.com", "password": "guess"})
    assert answer["Location"].startswith("/accounts/login/")
    assert browser(customers.User.create()).get("/admin/login/").status_code == 403


def test_every_tenant_page_refuses_staff_without_a_role() -> None:
    request = test.RequestFactory().get("/")
    request.user = customers.StaffUser.create()
    for model, page in admin.site._registry.items():
        if not hasattr(model, "utility_path"):
            continue
        assert not page.has_view_permission(request), model
        assert not page.has_change_permission(request), model
        assert not page.has_add_permission(request), model
        assert not page.has_delete_permission(request), model


def test_switching_an_application_off_ends_its_grants() -> None:
    grant = wallets.SessionKeyGrant.create()
    other = wallets.SessionKeyGrant.create()
    application = grant.application
    body = {
        "name": application.name,
        "client_id": application.client_id,
        "utility": application.utility_id,
        "client_type": application.client_type,
        "authorization_grant_type": application.authorization_grant_type,
        "allowed_scopes": application.allowed_scopes,
        "redirect_uris": application.redirect_uris,
    }
    page = reverse("admin:wallets_application_change", args=[application.pk])
    administrator = browser(staff(application.utility, "administrator"))
    assert administrator.post(page, body).status_code == 403
    operator = browser(customers.StaffUser.create(is_superuser=True))
    assert operator.post(page, body).status_code == 302
    grant.refresh_from_db()
    other.refresh_from_db()
    assert (grant.state, other.state) == ("revoked", "pending")


def test_sealed_keys_and_tokens_have_no_page() -> None:
    tokens = (wallet_models.AccessToken, wallet_models.RefreshToken, wallet_models.Grant, social_models.SocialToken)
    for model in (*tokens, social_models.SocialApp, mfa_models.Authenticator):
        assert model not in admin.site._registry
