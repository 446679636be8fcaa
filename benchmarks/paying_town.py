"""A utility and customers who are about to pay, made in bulk: rows as the use cases leave them, keys really sealed."""

import dataclasses
import datetime
import json
import secrets
import uuid
from typing import Any

from jwcrypto import jwk

from contracts import deployments
from contracts.bindings import accounts, sessions, tokens, words
from custody import models as custody_models
from custody.adapters import key_files
from custody.domain import keys, policies, sealing
from customers import models as customer_models
from customers import operations as customers
from openvpp.core import clock, db
from relayer import models as relayer_models
from relayer.adapters import chain as relayer_chain
from relayer.domain import gas
from relayer.usecases import refresh_prices
from tests import chain_fixture
from tests.factories import billing, wallets
from tests.integration.oauth import flow
from wallets import models
from wallets.domain import intents
from wallets.usecases import grant_session_key

LIFETIME = datetime.timedelta(minutes=30)
UNITS = 123_450_000  # what the factory's bill asks for
HELD_UNITS = 1_000_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What one customer's phone sends."""

    path: str
    body: str
    token: str
    key: jwk.JWK

    def headers(self) -> dict[str, str]:
        """Return the headers with a proof that was signed just now."""
        return {
            "Authorization": f"DPoP {self.token}",
            "DPoP": flow.proof(self.key, "POST", self.path, token=self.token),
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        }


def settle(*, chain: chain_fixture.Chain, utility_id: int, count: int, kek: str) -> list[Asked]:
    """Let `count` customers move in, each with a wallet, a grant, a bill and a quote that the utility pays for."""
    utility = customer_models.Utility.objects.get(pk=utility_id)
    now = clock.get_now().replace(microsecond=0)
    ring, phone = key_files.load_ring(path=kek), jwk.JWK.generate(kty="EC", crv="P-256")
    with db.transaction():
        stablecoin = customers.accept_token(
            utility_id=utility_id,
            address=words.checksummed(chain.deployment.stablecoin),
            symbol="USDX",
            decimals=6,
            pays_bills=True,
            pays_fees=True,
            fee_cap_units=1_000_000,
        )
        refresh = chain.chain_id
    refresh_prices.refresh_prices(chain_id=refresh, now=now)
    with db.transaction():
        people = _people(utility=utility, count=count)
        homes = _wallets(utility=utility, people=people, ring=ring, now=now)
        grants = _grants(homes=homes, token=str(stablecoin.address), ring=ring, now=now)
        presented = _tokens(grants=grants, key=phone, now=now)
        bills = _bills(utility=utility, people=people)
        quotes = _quotes(homes=homes, bills=bills, token=str(stablecoin.address), now=now)
    _give(chain=chain, holders=[wallet.address for wallet in homes])
    return [
        Asked(
            path=f"/api/v1/bills/{bill.pk}/payments/",
            body=json.dumps({"quote_id": str(quote.pk), "amount_units": str(UNITS)}),
            token=token,
            key=phone,
        )
        for bill, quote, token in zip(bills, quotes, presented, strict=True)
    ]


def _people(*, utility: customer_models.Utility, count: int) -> list[customer_models.Customer]:
    users = customer_models.User.objects.bulk_create(
        customer_models.User(email=f"customer-{number}@example.com", password="!") for number in range(count)
    )
    people = customer_models.Customer.objects.bulk_create(
        customer_models.Customer(utility=utility, user=user, name=user.email) for user in users
    )
    opened = customer_models.CustomerAccount.objects.bulk_create(
        customer_models.CustomerAccount(utility=utility, number=f"T-{each.pk}", opened_on=datetime.date(2025, 1, 1))
        for each in people
    )
    holder = customer_models.AccountAccess.Role.HOLDER
    customer_models.AccountAccess.objects.bulk_create(
        customer_models.AccountAccess(customer=each, account=account, role=holder)
        for each, account in zip(people, opened, strict=True)
    )
    return people


def _wallets(
    *,
    utility: customer_models.Utility,
    people: list[customer_models.Customer],
    ring: sealing.Ring,
    now: datetime.datetime,
) -> list[models.Wallet]:
    deployment = deployments.load(chain_id=utility.chain_id)
    drawn = [(keys.PrivateKey.generate(), secrets.token_bytes(32)) for _ in people]
    owners = []
    for each, (key, salt) in zip(people, drawn, strict=True):
        account = accounts.account_address(
            factory=deployment.account_factory,
            implementation=deployment.account_implementation,
            owner=words.parse_address(key.address),
            salt=salt,
        )
        policy = policies.WalletOwner(
            chain_id=utility.chain_id,
            salt=salt,
            account=account,
            payee=words.parse_address(str(utility.treasury_address)),
        )
        owners.append((key, f"wallet:customer:{each.pk}", policy.to_json()))
    rows = _seal(purpose=custody_models.SealedKey.Purpose.WALLET_OWNER, made=owners, ring=ring, now=now)
    return models.Wallet.objects.bulk_create(
        models.Wallet(
            utility=utility,
            customer=each,
            chain_id=utility.chain_id,
            owner_key=row,
            salt=row.policy["salt"],
            address=words.checksummed(bytes.fromhex(row.policy["account"][2:])),
            created_at=now,
        )
        for each, row in zip(people, rows, strict=True)
    )


def _grants(
    *, homes: list[models.Wallet], token: str, ring: sealing.Ring, now: datetime.datetime
) -> list[models.SessionKeyGrant]:
    application = wallets.Application.create(utility=homes[0].utility)
    rows = []
    for wallet in homes:
        assert wallet.customer is not None
        rows.append(
            wallets.SessionKeyGrant.build(
                wallet=wallet,
                user=wallet.customer.user,
                application=application,
                key=None,
                payee=wallet.utility.treasury_address,
                payee_name=wallet.utility.name,
                token=token,
                starts_at=now,
                owner_leave=_leave(),
            )
        )
    made = [
        (
            keys.PrivateKey.generate(),
            f"grant:{row.pk}",
            # As the grant itself seals it, here for thousands at once.
            policies.Session.parse(grant_session_key._sealed_policy(wallet=row.wallet, terms=row.terms)).to_json(),  # noqa: SLF001
        )
        for row in rows
    ]
    sealed = _seal(purpose=custody_models.SealedKey.Purpose.SESSION, made=made, ring=ring, now=now)
    for row, key in zip(rows, sealed, strict=True):
        row.key = key
        row.policy_hash = "0x" + sessions.session_id(policy=row.policy).hex()
    return models.SessionKeyGrant.objects.bulk_create(rows)


def _leave() -> bytes:
    """Return an owner's leave in its form; nothing reads it before the chain does."""
    consent = secrets.token_bytes(words.HASH_BYTES)
    return sessions.encode_leave(consent=consent, owner_signature=keys.PrivateKey.generate().sign(digest=consent))


def _seal(
    *,
    purpose: custody_models.SealedKey.Purpose,
    made: list[tuple[keys.PrivateKey, str, dict[str, Any]]],
    ring: sealing.Ring,
    now: datetime.datetime,
) -> list[custody_models.SealedKey]:
    rows, seals = [], []
    for key, subject, policy in made:
        row = custody_models.SealedKey(
            purpose=purpose,
            subject=subject,
            policy=policy,
            address=key.address,
            key_encryption_key_id=ring.current.id,
            created_at=now,
        )
        rows.append(row)
        seals.append(ring.seal(secret=key.secret(), binding=row.binding))
    sealed = custody_models.SealedKey.objects.bulk_create(rows)
    custody_models.SealedSecret.objects.bulk_create(
        custody_models.SealedSecret(key=row, **custody_models.SealedSecret.columns(seal))
        for row, seal in zip(sealed, seals, strict=True)
    )
    return sealed


def _tokens(*, grants: list[models.SessionKeyGrant], key: jwk.JWK, now: datetime.datetime) -> list[str]:
    rows = [
        wallets.AccessToken.build(
            application=grant.application,
            user=grant.user,
            session_key_grant=grant,
            expires=now + LIFETIME,
            dpop_jkt=key.thumbprint(),
        )
        for grant in grants
    ]
    presented = [str(row.token) for row in rows]
    for row in rows:
        # `bulk_create` asks no field what it saves, and `_meta` is Django's documented way to the field.
        models.AccessToken._meta.get_field("token_checksum").pre_save(row, add=True)  # noqa: SLF001
        row.token = ""
    models.AccessToken.objects.bulk_create(rows)
    return presented


def _bills(*, utility: customer_models.Utility, people: list[customer_models.Customer]) -> list[Any]:
    held = customer_models.CustomerAccount.objects.filter(accesses__customer__in=people).order_by("accesses__customer")
    rows = [billing.Bill.build(account=account, utility=utility) for account in held]
    made: list[Any] = type(rows[0]).objects.bulk_create(rows)
    return made


def _quotes(
    *, homes: list[models.Wallet], bills: list[Any], token: str, now: datetime.datetime
) -> list[relayer_models.FeeQuote]:
    prices = relayer_chain.gas_prices()
    limits = gas.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=False, has_session=False)
    rows = []
    for wallet, bill in zip(homes, bills, strict=True):
        wish = intents.BillPayment(
            reference="0x" + secrets.token_hex(words.REFERENCE_BYTES),
            payee=str(wallet.utility.treasury_address),
            token=token,
            amount_units=UNITS,
        )
        rows.append(
            relayer_models.FeeQuote(
                chain_id=wallet.chain_id,
                utility_id=wallet.utility_id,
                sender=wallet.address,
                intent={"bill_id": str(bill.pk), **wish.to_json()},
                mode=relayer_models.FeeQuote.Mode.UTILITY,
                fee_token=None,
                fee_units=0,
                gas_limit=limits.total,
                max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
                max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
                gas_cost_wei=limits.total * prices.max_fee_per_gas_wei,
                reason="The utility pays the network fee.",
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
    return relayer_models.FeeQuote.objects.bulk_create(rows)


def _give(*, chain: chain_fixture.Chain, holders: list[str]) -> None:
    """Make stablecoins for everybody; the node mines each transaction at once."""
    for holder in holders:
        call = {
            "from": words.checksummed(chain_fixture.DEPLOYER.address),
            "to": words.checksummed(chain.deployment.stablecoin),
            "data": "0x" + tokens.encode_mint(to=words.parse_address(holder), amount_units=HELD_UNITS).hex(),
            "gas": hex(200_000),
        }
        chain.rpc("eth_sendTransaction", call)
