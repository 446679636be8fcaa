"""A chain, a signer, a provisioned relayer, and wallets whose operations are built by hand."""

import dataclasses
import datetime
import os
import pathlib
import uuid
from typing import Any

import pytest

from contracts.bindings import accounts, payments, sessions, user_operations, words
from custody import models as custody_models
from custody import operations as custody_operations
from custody import queries as custody_queries
from customers import models as customer_models
from openvpp.core import clock, db
from relayer import models, operations
from relayer.adapters import deployer, rpc
from relayer.domain import gas
from relayer.usecases import hold_keys, provision_chain, refresh_prices, send_bundle, tell_changes, watch_bundles
from tests import chain_fixture, custody_fixture

TREASURY = bytes.fromhex("7e" * 20)
DUE_UNITS = 12_345_678
LIFETIME = datetime.timedelta(minutes=10)


@dataclasses.dataclass(frozen=True)
class Wallet:
    """An account with a session key, both sealed in custody."""

    owner: custody_models.SealedKey
    session: custody_models.SealedKey
    account: bytes
    salt: bytes

    @property
    def address(self) -> str:
        return words.checksummed(self.account)

    @property
    def policy(self) -> sessions.SessionPolicy:
        return custody_queries.session_policy(key=self.session)


@dataclasses.dataclass
class Relayer:
    """What a test asks of the relayer, with one utility and its tokens."""

    chain: chain_fixture.Chain
    utility: customer_models.Utility
    stablecoin: customer_models.AcceptedToken
    ovpp: customer_models.AcceptedToken
    key_file: pathlib.Path

    def provision(self, *, relayer_keys: int, programs: tuple[uuid.UUID, ...] = ()) -> None:
        """Do what `manage.py provision_chain` does."""
        provision_chain.provision_chain(
            utility_id=self.utility.pk,
            chain_id=self.chain.chain_id,
            owner=deployer.load(path=str(self.key_file), chain_id=self.chain.chain_id),
            provision=provision_chain.Provision(relayer_keys=relayer_keys, programs=programs),
        )

    def wallet(self, name: str = "1", *, units: int = 100 * DUE_UNITS, **limits: Any) -> Wallet:
        """Open a wallet that holds stablecoins and $OVPP and has a session, nothing of it on the chain yet."""
        salt = os.urandom(32)
        owner = custody_operations.create_key(
            purpose="wallet_owner",
            subject=f"wallet:test:{name}",
            policy={"chain_id": self.chain.chain_id, "salt": "0x" + salt.hex(), "payee": "0x" + TREASURY.hex()},
        )
        account = bytes.fromhex(owner.policy["account"][2:])
        session = custody_operations.create_key(
            purpose="session",
            subject=f"grant:{name}",
            policy={
                "chain_id": self.chain.chain_id,
                "account": "0x" + account.hex(),
                "payee": "0x" + TREASURY.hex(),
                "token": str(self.stablecoin.address).lower(),
                "fee_token": str(self.ovpp.address).lower(),
                "max_per_payment_units": 50 * DUE_UNITS,
                "max_per_period_units": 80 * DUE_UNITS,
                "max_total_units": 2**80,
                "max_fee_units": 10**9,
                "max_fee_in_fee_token_units": 10**24,
                "starts_at": self.chain.now() - 3600,
                "ends_at": int(clock.get_now().timestamp()) + 10**7,
                "period_seconds": 86400 * 30,
                "salt": int.from_bytes(os.urandom(6)),
            }
            | limits,
        )
        self.chain.give(account, units)
        self.chain.give_ovpp(account, 10**24)
        return Wallet(owner=owner, session=session, account=account, salt=salt)

    def quote(self, wallet: Wallet, *, mode: str = "utility", is_deployed: bool = False) -> models.FeeQuote:
        token = {"utility": None, "stablecoin": self.stablecoin, "ovpp": self.ovpp}[mode]
        return operations.make_quote(
            utility_id=self.utility.pk,
            chain_id=self.chain.chain_id,
            sender=wallet.address,
            intent={"due_units": str(DUE_UNITS)},
            mode=mode,
            fee_token=token,
            limits=operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=is_deployed),
            reason="A test says so.",
            now=clock.get_now(),
        )

    def pay(
        self,
        wallet: Wallet,
        *,
        mode: str = "utility",
        amount_units: int = DUE_UNITS,
        lifetime: datetime.timedelta = LIFETIME,
        nonce: int | None = None,
        program_id: int = 0,
        **changes: Any,
    ) -> models.UserOperation:
        """Quote, build, sponsor, sign and queue a payment."""
        is_deployed = bool(self.chain.code(wallet.account))
        quote = self.quote(wallet, mode=mode, is_deployed=is_deployed)
        limits = operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=is_deployed)
        payment = payments.BillPayment(
            policy=wallet.policy,
            reference=os.urandom(16),
            amount_units=amount_units,
            fee_units=quote.fee_units,
            in_fee_token=mode == "ovpp",
        )
        deployment = self.chain.deployment
        operation = user_operations.UserOperation(
            sender=wallet.account,
            nonce=self.chain.nonce(wallet.account) if nonce is None else nonce,
            init_code=b""
            if is_deployed
            else accounts.init_code(
                factory=deployment.account_factory,
                owner=words.parse_address(str(wallet.owner.address)),
                salt=wallet.salt,
            ),
            call_data=payments.encode_pay_bill(payment=payment),
            verification_gas_limit=limits.verification_gas_limit,
            call_gas_limit=limits.call_gas_limit,
            pre_verification_gas=limits.pre_verification_gas,
            max_priority_fee_per_gas=quote.max_priority_fee_per_gas_wei,
            max_fee_per_gas=quote.max_fee_per_gas_wei,
        )
        expires_at = clock.get_now() + lifetime
        operation = operations.sponsor(
            operation=operation,
            utility_id=self.utility.pk,
            chain_id=self.chain.chain_id,
            limits=limits,
            quote=quote,
            expires_at=expires_at,
            program_id=program_id,
        )
        signature = custody_operations.sign_user_operation(
            key_id=wallet.session.pk, operation=operation, chain_id=self.chain.chain_id
        )
        install = custody_operations.sign_session_install(
            key_id=wallet.owner.pk,
            policy=wallet.policy,
            consent=custody_operations.record_consent(
                key_id=wallet.owner.pk, terms=custody_fixture.terms_of(wallet.policy), now=clock.get_now()
            ),
            account=wallet.account,
            chain_id=self.chain.chain_id,
        )
        operation = dataclasses.replace(
            operation,
            signature=sessions.encode_session_signature(key_signature=signature, leave=install),
        )
        operation = dataclasses.replace(operation, **changes)
        with db.transaction():
            return operations.queue(
                operation=operation,
                quote=quote,
                utility_id=self.utility.pk,
                chain_id=self.chain.chain_id,
                expires_at=expires_at,
                now=clock.get_now(),
            )

    def turn(self, holder: str = "relay-1", *, later: datetime.timedelta = datetime.timedelta()) -> None:
        """One turn of a relay's loop."""
        now = clock.get_now() + later
        keys = hold_keys.hold_keys(chain_id=self.chain.chain_id, holder=holder, now=now)
        watch_bundles.watch_bundles(chain_id=self.chain.chain_id, holder=holder, now=now)
        for key in keys:
            while send_bundle.send_bundle(key=key, holder=holder, now=now):
                continue
        tell_changes.tell_changes(now=now)

    def mine(self, blocks: int = 1) -> None:
        self.chain.rpc("anvil_mine", hex(blocks))

    def finish(self, holder: str = "relay-1") -> None:
        """Turn and mine until what is queued now is final."""
        for _ in range(8):
            self.turn(holder)
            self.mine()

    def executions(self) -> list[str]:
        """The hashes of all operations that the EntryPoint executed, from the chain."""
        logs = self.chain.rpc(
            "eth_getLogs",
            {
                "address": words.checksummed(self.chain.deployment.entry_point),
                "topics": ["0x49628fd1471006c1482da88028e9ce4dbb080b815c9b0344d39e5a8e6ec1419f"],
                "fromBlock": "0x0",
            },
        )
        assert isinstance(logs, list)
        return [log["topics"][1] for log in logs]

    def treasury_units(self) -> int:
        return self.chain.balance(self.chain.deployment.stablecoin, TREASURY)


@pytest.fixture
def relayer(
    chain: chain_fixture.Chain, signer: str, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Relayer:
    """Provision the chain as `manage.py provision_chain` does."""
    from contracts import deployments  # noqa: PLC0415

    deployments.write(chain.deployment, directory=tmp_path, code_hashes={})
    monkeypatch.setenv("OPENVPP_DEPLOYMENTS_DIR", str(tmp_path))
    settings.CHAIN_RPC_URL = chain.rpc_url
    settings.CHAIN_ID = chain.chain_id
    settings.UPCALLS = settings.UPCALLS | {"user_operation.changed": []}
    settings.PRICE_MAX_AGE = datetime.timedelta(days=3650)  # the chain of the tests lives in its own time
    chain.move_to(int(clock.get_now().timestamp()))
    monkeypatch.setattr(send_bundle, "PATIENCE", datetime.timedelta())
    monkeypatch.setattr(send_bundle, "PATIENCE_OF_OPEN", datetime.timedelta())
    rpc._node.cache_clear()
    utility = customer_models.Utility.objects.create(
        slug="tests", name="Tests", chain_id=chain.chain_id, treasury_address=words.checksummed(TREASURY)
    )
    stablecoin = customer_models.AcceptedToken.objects.create(
        utility=utility,
        address=words.checksummed(chain.deployment.stablecoin),
        symbol="devUSD",
        decimals=6,
        pays_bills=True,
        pays_fees=True,
    )
    ovpp = customer_models.AcceptedToken.objects.create(
        utility=utility,
        address=words.checksummed(chain.deployment.ovpp),
        symbol="OVPP",
        decimals=18,
        pays_bills=False,
        pays_fees=True,
    )
    key_file = tmp_path / "deployer"
    key_file.write_text(chain_fixture.DEPLOYER.secret.hex())
    provisioned = Relayer(chain=chain, utility=utility, stablecoin=stablecoin, ovpp=ovpp, key_file=key_file)
    provisioned.provision(relayer_keys=1)
    refresh_prices.refresh_prices(chain_id=chain.chain_id, now=clock.get_now())
    return provisioned


def assert_paid_once(relayer: Relayer, *operations: models.UserOperation) -> None:
    for operation in operations:
        operation.refresh_from_db()
        assert (operation.state, operation.failure) == (models.UserOperation.State.SUCCEEDED, "")
    assert sorted(relayer.executions()) == sorted(str(operation.hash) for operation in operations)
    assert relayer.treasury_units() == DUE_UNITS * len(operations)
    assert not models.Bundle.objects.exclude(state__in=["final", "lost"]).exists()
