"""A home whose month of hours is stored, those who may ask for it, and clients with their tokens."""

import datetime
import io
import pathlib
import secrets

import pytest
from rest_framework import test

from customers import models as customers_models
from meters.usecases import ingest_readings
from tests.factories import customers
from wallets import models as wallets_models

SAMPLES = pathlib.Path(__file__).parents[2] / "data" / "meter" / "green_button"
HOURS = SAMPLES / "gb_openespi_1hrLP_32Days.xml"
NOW = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)


def client(
    *, user: customers_models.User | None, scope: str, utility: customers_models.Utility | None = None
) -> test.APIClient:
    """Return a client with a token of a person, or of a utility's system when there is none."""
    application = wallets_models.Application.objects.create(
        name="test",
        client_id=secrets.token_hex(8),
        client_type="confidential",
        authorization_grant_type="authorization-code" if user else "client-credentials",
        redirect_uris="https://app.example/callback",
        utility=utility,
        allowed_scopes=scope,
    )
    token = secrets.token_urlsafe(32)
    wallets_models.AccessToken.objects.create(
        user=user,
        application=application,
        token=token,
        scope=scope,
        expires=datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10),
    )
    caller = test.APIClient()
    caller.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return caller


def serve(**agreed: object) -> customers_models.ServiceAgreement:
    """Return an agreement about a point whose hours of April 2012 are stored."""
    made: customers_models.ServiceAgreement = customers.ServiceAgreement.create(**agreed)
    ingest_readings.ingest_green_button(
        stream=io.BytesIO(HOURS.read_bytes()),
        utility_id=made.account.utility_id,
        service_point_id=made.service_point_id,
        now=NOW,
    )
    return made


@pytest.fixture
def agreement(transactional_db: None) -> customers_models.ServiceAgreement:
    """Service in the middle of a month whose hours are stored."""
    return serve(starts_on=datetime.date(2012, 4, 10), ends_on=datetime.date(2012, 4, 20))


@pytest.fixture
def holder(agreement: customers_models.ServiceAgreement) -> customers_models.User:
    user = customers.AccountAccess.create(account=agreement.account).customer.user
    assert user is not None
    return user


@pytest.fixture
def csr(agreement: customers_models.ServiceAgreement) -> test.APIClient:
    return client(user=customers.StaffRole.create(utility=agreement.account.utility).user, scope="usage:read")
