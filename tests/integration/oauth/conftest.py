"""A customer with a wallet, and the app of their utility."""

import pytest

from tests.factories import customers, wallets
from tests.fakes import signer as fake_signer
from tests.integration.oauth import flow
from wallets import models


@pytest.fixture
def signer(monkeypatch: pytest.MonkeyPatch) -> fake_signer.FakeSigner:
    """A signer that always answers."""
    return fake_signer.install(monkeypatch)


@pytest.fixture
def wallet(db: None) -> models.Wallet:
    """Ada's wallet at Harbor, which takes USDX for bills and fees and OVPP for fees."""
    utility = customers.Utility.create(name="Harbor Light & Power", slug="harbor")
    customers.AcceptedToken.create(utility=utility)
    customers.AcceptedToken.create(
        utility=utility, symbol="OVPP", decimals=18, pays_bills=False, fee_cap_units=50 * 10**18
    )
    made: models.Wallet = wallets.Wallet.create(customer__utility=utility)
    return made


@pytest.fixture
def app(wallet: models.Wallet, signer: fake_signer.FakeSigner) -> flow.MobileApp:
    """Harbor's app on Ada's phone, Ada signed in."""
    assert wallet.customer is not None
    return flow.MobileApp(application=wallets.Application.create(utility=wallet.utility), user=wallet.customer.user)
