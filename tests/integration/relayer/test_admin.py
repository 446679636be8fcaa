"""Staff see their own utility's operations; keys, bundles and prices are the operator's."""

import pytest
from django import test
from django.urls import reverse

from customers import models as customer_models
from relayer import models
from tests.factories import customers
from tests.integration.relayer.conftest import Relayer

PAGES = ("useroperation", "feequote", "bundle", "relayerkey", "tokenprice")


def client(user: customer_models.User) -> test.Client:
    signed_in = test.Client()
    signed_in.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return signed_in


@pytest.fixture
def paid(relayer: Relayer) -> models.UserOperation:
    operation = relayer.pay(relayer.wallet())
    relayer.finish()
    return operation


def test_the_operator_sees_every_page(relayer: Relayer, paid: models.UserOperation) -> None:
    operator = client(customers.User.create(email="root@example.com", is_staff=True, is_superuser=True))
    for page in PAGES:
        assert operator.get(reverse(f"admin:relayer_{page}_changelist")).status_code == 200
    shown = operator.get(reverse("admin:relayer_useroperation_change", args=[paid.hash]))
    assert shown.status_code == 200
    assert "succeeded" in shown.content.decode().lower()
    bundle = models.Bundle.objects.get()
    assert operator.get(reverse("admin:relayer_bundle_change", args=[bundle.pk])).status_code == 200
    for page in ("sealedkey", "signaturelog"):
        assert operator.get(reverse(f"admin:custody_{page}_changelist")).status_code == 200


def test_staff_see_the_operations_of_their_utility_alone(relayer: Relayer, paid: models.UserOperation) -> None:
    own = customers.User.create(email="csr@example.com", is_staff=True)
    other = customers.User.create(email="other@example.com", is_staff=True)
    customer_models.StaffRole.objects.create(user=own, utility=relayer.utility, role="csr")
    customer_models.StaffRole.objects.create(user=other, utility=customers.Utility.create(), role="csr")
    address = reverse("admin:relayer_useroperation_change", args=[paid.hash])
    assert client(own).get(address).status_code == 200
    assert str(paid.hash) not in client(other).get(reverse("admin:relayer_useroperation_changelist")).content.decode()
    assert client(other).get(address).status_code == 302
    for page in ("bundle", "relayerkey", "tokenprice"):
        assert client(own).get(reverse(f"admin:relayer_{page}_changelist")).status_code == 403
