"""Forms of the admin that a person reads from."""

import pytest
from django import test
from django.urls import reverse

from tests.factories import customers

pytestmark = pytest.mark.django_db


def test_an_address_is_shown_in_a_field_as_wide_as_others() -> None:
    client = test.Client()
    client.force_login(customers.User.create(is_staff=True, is_superuser=True))
    utility = customers.Utility.create()

    page = client.get(reverse("admin:customers_utility_add"))
    form = page.context["adminform"].form
    assert "w-full" in form.fields["treasury_address"].widget.attrs["class"]

    page = client.get(reverse("admin:customers_utility_change", args=[utility.pk]))
    assert utility.treasury_address in page.content.decode()
