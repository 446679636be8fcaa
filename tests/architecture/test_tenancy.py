"""Every row that belongs to a utility says so, and its queryset keeps utilities apart."""

from typing import Any

import pytest
from django.apps import apps
from django.core import exceptions
from django.db import models

from customers import models as customer_models

OURS = (
    "customers",
    "controls",
    "custody",
    "notifications",
    "relayer",
    "wallets",
    "meters",
    "ders",
    "billing",
    "programs",
    "sharing",
)


def references(model: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Say whether a row reaches a utility, a customer or an account through what it must have."""
    return any(
        field.remote_field.model in (customer_models.Utility, customer_models.Customer, customer_models.CustomerAccount)
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey) and not field.null
    )


OF_A_UTILITY = [model for app in OURS for model in apps.get_app_config(app).get_models() if references(model)]


@pytest.mark.parametrize("model", OF_A_UTILITY, ids=lambda model: model._meta.label)
def test_rows_of_a_utility_say_which(model: Any) -> None:
    assert hasattr(model, "utility_path")
    assert hasattr(model, "user_path")
    assert isinstance(model.objects.all(), customer_models.TenantQuerySet)


@pytest.mark.parametrize(
    "model",
    [m for app in OURS for m in apps.get_app_config(app).get_models() if hasattr(m, "utility_path")],
    ids=lambda model: model._meta.label,
)
def test_paths_lead_to_a_utility_and_a_user(model: Any) -> None:
    try:
        str(model.objects.filter(**{f"{model.utility_path}__in": customer_models.Utility.objects.values("pk")}).query)
        if model.user_path:
            str(model.objects.filter(**{model.user_path: 1}).query)
    except exceptions.FieldError as error:
        pytest.fail(str(error))
