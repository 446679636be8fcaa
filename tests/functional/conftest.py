"""A small utility on a real chain: signer, relayer, two customers with wallets, an app that may pay."""

import dataclasses
import datetime
import json
import time
import uuid
from typing import Any

import pytest
from django import test

from billing import models as billing_models
from billing.usecases import receive_bill
from contracts import deployments
from contracts.bindings import words
from customers import models as customer_models
from customers import operations as customer_operations
from openvpp.core import clock, db
from relayer import models as relayer_models
from relayer.adapters import deployer, rpc
from relayer.usecases import hold_keys, provision_chain, refresh_prices, send_bundle, tell_changes, watch_bundles
from tests import chain_fixture
from tests.factories import customers, wallets
from tests.integration.oauth import flow
from wallets import models as wallet_models
from wallets import operations as wallet_operations
from wallets.domain import terms
from wallets.usecases import grant_session_key

TREASURY = words.checksummed(bytes.fromhex("7e" * 20))
DUE_CENTS = 12_345
DUE_UNITS = 123_450_000
STABLECOINS = 1_000_000_000
OVPP = 10**24
BLOCKS_TO_FINALITY = 8
FINAL = ["succeeded", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """A customer with an account, a wallet and an app that may pay from it."""

    customer: customer_models.Customer
    account: customer_models.CustomerAccount
    wallet: wallet_models.Wallet
    grant: wallet_models.SessionKeyGrant
    token: str

    @property
    def user(self) -> customer_models.User:
        assert self.customer.user is not None
        return self.customer.user

    def get(self, path: str) -> Any:
        return test.Client().get(f"/api/v1/{path}", headers=flow.authorization("GET", f"/api/v1/{path}", self.token))

    def post(self, path: str, body: dict[str, Any], *, key: str | None = None) -> Any:
        headers = flow.authorization("POST", f"/api/v1/{path}", self.token)
        headers["Idempotency-Key"] = key or str(uuid.uuid4())
        return test.Client().post(f"/api/v1/{path}", json.dumps(body), "application/json", headers=headers)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Town:
    """What a test asks of the town."""

    chain: chain_fixture.Chain
    utility: customer_models.Utility
    stablecoin: customer_models.AcceptedToken
    ovpp: customer_models.AcceptedToken
    application: wallet_models.Application

    def settle(self, name: str, **limits: Any) -> Person:
        """Let a person move in: account, wallet with tokens and no native coin, a grant, a token."""
        user = customers.User.create(email=f"{name}@example.com")
        customer = customers.Customer.create(utility=self.utility, user=user, name=name)
        with db.transaction():
            account = customer_operations.open_account(
                utility_id=self.utility.pk, number=f"T-{name}", opened_on=datetime.date(2025, 1, 1), holder=customer
            )
        wallet = wallet_operations.open_wallet(customer_id=customer.pk, now=clock.get_now())
        self.chain.give(words.parse_address(wallet.address), STABLECOINS)
        self.chain.give_ovpp(words.parse_address(wallet.address), OVPP)
        grant = self.grant(user=user, wallet=wallet, **limits)
        return Person(
            customer=customer, account=account, wallet=wallet, grant=grant, token=self.token(user=user, grant=grant)
        )

    def grant(
        self, *, user: customer_models.User, wallet: wallet_models.Wallet, **limits: Any
    ) -> wallet_models.SessionKeyGrant:
        """Let the app spend from a wallet."""
        now = clock.get_now().replace(microsecond=0)
        agreed = {
            "payee": self.utility.treasury_address,
            "payee_name": self.utility.name,
            "token": self.stablecoin.address,
            "fee_token": self.ovpp.address,
            "limit_per_payment_units": 5 * DUE_UNITS,
            "limit_per_period_units": 6 * DUE_UNITS,
            "period_seconds": 30 * 86_400,
            "limit_total_units": 7 * DUE_UNITS,
            "fee_cap_units": 5_000_000,
            "fee_token_cap_units": 10**21,
            "starts_at": now - datetime.timedelta(minutes=1),
            "ends_at": now + datetime.timedelta(days=365),
            "shown_text": "The app pays your bills.",
        }
        return grant_session_key.grant(
            grant_id=uuid.uuid4(),
            user=user,
            wallet=wallet,
            application=self.application,
            terms=terms.GrantTerms(**(agreed | limits)),
            now=clock.get_now(),
        )

    def token(self, *, user: customer_models.User, grant: wallet_models.SessionKeyGrant | None) -> str:
        """Return an access token of the app."""
        token = wallets.AccessToken.create(application=self.application, user=user, session_key_grant=grant)
        return str(token.token)

    def bill(self, person: Person, *, cents: int = DUE_CENTS, month: int = 9) -> billing_models.Bill:
        """Issue a bill as the utility's billing system would."""
        return receive_bill.receive_bill(
            utility_id=self.utility.pk,
            received=receive_bill.Received(
                account_number=person.account.number,
                number=f"{person.account.number}-{month}",
                starts_on=datetime.date(2026, month, 1),
                ends_on=datetime.date(2026, month + 1, 1),
                due_on=datetime.date(2026, 12, 24),
                currency="USD",
                amount_due_cents=cents,
                lines=[receive_bill.Line(label="Energy", amount_cents=cents)],
            ),
            now=clock.get_now(),
        )

    def turn(self) -> None:
        """One turn of a relay's loop."""
        now = clock.get_now()
        keys = hold_keys.hold_keys(chain_id=self.chain.chain_id, holder="relay-1", now=now)
        watch_bundles.watch_bundles(chain_id=self.chain.chain_id, holder="relay-1", now=now)
        for key in keys:
            while send_bundle.send_bundle(key=key, holder="relay-1", now=now):
                continue
        tell_changes.tell_changes(now=now)

    def finish(self) -> None:
        """Turn and mine until what is queued now is final, and look once more."""
        for _ in range(BLOCKS_TO_FINALITY):
            self.turn()
            if not relayer_models.UserOperation.objects.exclude(state__in=FINAL).exists():
                return
            self.chain.rpc("anvil_mine", "0x1")
        raise AssertionError("The operations are not final.")

    def held(self, address: str) -> tuple[int, int, int]:
        """Return stablecoin units, $OVPP units and wei of an address, from the chain."""
        holder = words.parse_address(address)
        return (
            self.chain.balance(self.chain.deployment.stablecoin, holder),
            self.chain.balance(self.chain.deployment.ovpp, holder),
            self.chain.native(holder),
        )


@pytest.fixture
def town(
    chain: chain_fixture.Chain, signer: str, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Town:
    """A provisioned utility that takes a stablecoin for bills and fees, and $OVPP for fees."""
    deployments.write(chain.deployment, directory=tmp_path, code_hashes={})
    monkeypatch.setenv("OPENVPP_DEPLOYMENTS_DIR", str(tmp_path))
    settings.CHAIN_RPC_URL = chain.rpc_url
    settings.CHAIN_ID = chain.chain_id
    monkeypatch.setattr(send_bundle, "PATIENCE", datetime.timedelta())
    monkeypatch.setattr(send_bundle, "PATIENCE_OF_OPEN", datetime.timedelta())
    rpc._node.cache_clear()
    chain.move_to(int(time.time()))
    utility = customers.Utility.create(
        slug="town", name="Town Light", chain_id=chain.chain_id, treasury_address=TREASURY
    )
    with db.transaction():
        tokens = [
            customer_operations.accept_token(
                utility_id=utility.pk,
                address=words.checksummed(address),
                symbol=symbol,
                decimals=decimals,
                pays_bills=symbol == "USDX",
                pays_fees=True,
                fee_cap_units=cap,
            )
            for address, symbol, decimals, cap in (
                (chain.deployment.stablecoin, "USDX", 6, 5_000_000),
                (chain.deployment.ovpp, "OVPP", 18, 10**21),
            )
        ]
    key_file = tmp_path / "deployer"
    key_file.write_text(chain_fixture.DEPLOYER.secret.hex())
    provision_chain.provision_chain(
        utility_id=utility.pk,
        chain_id=chain.chain_id,
        owner=deployer.load(path=str(key_file), chain_id=chain.chain_id),
        provision=provision_chain.Provision(relayer_keys=1),
    )
    refresh_prices.refresh_prices(chain_id=chain.chain_id, now=clock.get_now())
    return Town(
        chain=chain,
        utility=utility,
        stablecoin=tokens[0],
        ovpp=tokens[1],
        application=wallets.Application.create(utility=utility),
    )


@pytest.fixture
def ada(town: Town) -> Person:
    return town.settle("ada")
