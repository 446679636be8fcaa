"""The first journey: a real month of meter data becomes a bill, and is paid without native coin."""

import dataclasses
import datetime
import decimal
import time
import uuid
import zoneinfo
from typing import Any

from billing import models as billing_models
from billing.usecases import issue_bill
from customers import models as customer_models
from openvpp.core import clock, money
from openvpp.demo import cast, meter_data, proof
from openvpp.demo import stage as stages
from openvpp.demo.adapters import phone
from wallets import models as wallet_models

NOTICE_WITHIN_S = 20.0
PAID_WITHIN_S = 60.0
FINAL_STATES = {"succeeded", "failed"}


@dataclasses.dataclass(slots=True)
class Journey:
    """The journey and what it has found out so far."""

    stack: cast.Stack
    stage: stages.Stage
    fee_mode: str

    def play(self) -> dict[str, Any]:
        """Play it to its end and return what is printed as the last line.

        :raises phone.UnableToPlay: something was not as promised.
        """
        self.stage.open(
            title="A customer pays a bill",
            subtitle=f"{self.stack.utility} · chain {self.stack.utility.chain_id} · network fee: {self._fee_words}",
        )
        account = customer_models.CustomerAccount.objects.of_utility(self.stack.utility.pk).get(
            number=self.stack.people["ada"]["account"]
        )
        zone = zoneinfo.ZoneInfo(self.stack.utility.time_zone)
        today = clock.get_now().astimezone(zone).date()
        statement = meter_data.next_statement(account=account, today=today)
        if statement is not None:
            self._deliver_readings(account, statement=statement)
        ada = self._sign_in()
        try:
            wallet = self._show_wallet(ada)
            if statement is not None:
                bill_id = self._issue(account, statement=statement)
            else:
                bill_id = self._receive(account, today=today)
            bill = self._show_bill(ada, bill_id=bill_id)
            return self._pay(ada, wallet=wallet, bill=bill)
        finally:
            ada.listener.close()

    @property
    def _fee_words(self) -> str:
        return {"ovpp": "in $OVPP", "stablecoin": "in the stablecoin", "utility": "paid by the utility"}[self.fee_mode]

    def _system(self) -> phone.Api:
        token = phone.system_token(base_url=self.stack.base_url, client=self.stack.oauth["head_end"])
        return phone.Api(base_url=self.stack.base_url, token=token.access)

    def _deliver_readings(self, account: customer_models.CustomerAccount, *, statement: meter_data.Statement) -> None:
        self.stage.step("The head-end", "delivers a home's meter data as a Green Button file")
        point = customer_models.ServicePoint.objects.get(agreements__account=account)
        batch = self._system().upload(
            "meter-imports/",
            name=statement.file_name,
            content=statement.content,
            media_type="application/xml",
            fields={"service_point": point.number},
        )
        again = f", the real month dated on by {statement.years_on} years" if statement.years_on else ""
        self.stage.fact(
            f"{len(statement.content) // 1024} KB, {batch['intervals']} hourly readings of point {point.number}{again}"
        )
        self.stage.fact(f"stored: {batch['days_added']} days added, {batch['days_unchanged']} known already")

    def _sign_in(self) -> cast.SignedIn:
        self.stage.step("Ada", "signs in on her phone and lets the app pay, within limits")
        ada = cast.sign_in(stack=self.stack, key="ada")
        self.stage.quote(ada.consent_words)
        me = ada.api.get("me/")
        self.stage.fact(
            f"signed in as {me['name']} by a pushed request; tokens bound to the phone's key; socket open by ticket"
        )
        return ada

    def _show_wallet(self, ada: cast.SignedIn) -> wallet_models.Wallet:
        shown = ada.api.get("wallet/")
        wallet: wallet_models.Wallet = wallet_models.Wallet.objects.select_related("owner_key").get(pk=shown["id"])
        balances = ada.api.get("wallet/balances/")
        held = ", ".join(f"{_money(token['amount'])} {token['symbol']}" for token in balances["tokens"])
        self.stage.fact(f"wallet {wallet.address}: {held}; native coin {balances['native_wei']}")
        return wallet

    def _issue(self, account: customer_models.CustomerAccount, *, statement: meter_data.Statement) -> str:
        self.stage.step("The billing run", f"rates {statement.starts_on} up to {statement.ends_on} and issues the bill")
        issued = issue_bill.issue_bill(
            account_id=account.pk, starts_on=statement.starts_on, ends_on=statement.ends_on, now=clock.get_now()
        )
        return str(issued.pk)

    def _receive(self, account: customer_models.CustomerAccount, *, today: datetime.date) -> str:
        self.stage.step("The utility's billing system", "sends a bill, as every year of meter data is billed here")
        last = account.bills.filter(source=billing_models.Bill.Source.RATED).order_by("-starts_on")[0]
        number = f"{account.number}-{uuid.uuid4().hex[:8]}"
        amount = str(money.from_units(units=last.amount_due_cents, decimals=2))
        received = self._system().post(
            "bills/received/",
            {
                "account": account.number,
                "number": number,
                "starts_on": last.starts_on.isoformat(),
                "ends_on": last.ends_on.isoformat(),
                "due_on": (today + datetime.timedelta(days=21)).isoformat(),
                "currency": last.currency,
                "amount_due": amount,
                "lines": [{"label": f"As rated in {last.number}", "amount": amount}],
            },
            key=number,
        )
        return str(received["id"])

    def _show_bill(self, ada: cast.SignedIn, *, bill_id: str) -> dict[str, Any]:
        with self.stage.waiting("Ada's phone listens"):
            told = ada.listener.wait_for(
                lambda notice: notice["kind"] == "bill.issued" and notice["data"]["bill_id"] == bill_id,
                within_s=NOTICE_WITHIN_S,
                what="the bill",
            )
        self.stage.notice(told)
        bill: dict[str, Any] = ada.api.get(f"bills/{told['data']['bill_id']}/")
        self.stage.rows(
            title=f"Bill {bill['number']}",
            columns=("", "quantity", "unit price", bill["currency"]),
            rows=[
                (
                    line["label"],
                    f"{decimal.Decimal(line['quantity']).normalize():,f} {line['unit']}",
                    f"{decimal.Decimal(line['unit_price']).normalize():f}",
                    f"{decimal.Decimal(line['amount']):,.4f}",
                )
                for line in bill["lines"]
            ],
            total=_money(bill["amount_due"]),
        )
        return bill

    def _pay(self, ada: cast.SignedIn, *, wallet: wallet_models.Wallet, bill: dict[str, Any]) -> dict[str, Any]:
        self.stage.step("Ada", f"asks what paying costs, with the network fee {self._fee_words}")
        token = self.stack.utility.tokens.get(pays_bills=True)
        quote = ada.api.post(f"bills/{bill['id']}/quotes/", {"token": token.symbol, "fee_mode": self.fee_mode})
        self.stage.fact(f"{_money(quote['amount'])} {token.symbol} and {self._show_fee(quote)}")
        before = proof.look(stack=self.stack, wallet=wallet)
        self.stage.step("Ada", "pays")
        started = time.monotonic()
        payment = ada.api.post(
            f"bills/{bill['id']}/payments/",
            {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]},
            key=str(uuid.uuid4()),
        )
        self.stage.fact("202: accepted, to be followed")
        operation = self._follow(ada, payment["operation_id"])
        settled_in_s = time.monotonic() - started
        notices = self._listen(ada, payment_id=str(payment["id"]), bill_id=str(bill["id"]))
        paid = ada.api.get(f"payments/{payment['id']}/")
        self.stage.step("We", "check it against the chain and the books")
        after = proof.look(stack=self.stack, wallet=wallet)
        self._check(wallet=wallet, paid=paid, before=before, after=after)
        spent = proof.native_wei_spent(before=before, after=after)
        self.stage.good("neither wallet nor owner key has ever held native coin")
        return {
            "bill_id": str(bill["id"]),
            "amount_due": bill["amount_due"],
            "currency": bill["currency"],
            "amount_units": int(paid["amount_units"]),
            "token": token.symbol,
            "fee_units": int(paid["fee_units"]),
            "fee_token": paid["fee_token"] and paid["fee_token"]["symbol"],
            "fee_mode": paid["fee_mode"],
            "user_operation_hash": operation["user_operation_hash"],
            "transaction_hash": paid["transaction_hash"],
            "block_number": paid["block_number"],
            "customer_native_wei_spent": spent,
            "settled_in_s": round(settled_in_s, 3),
            "notices": notices,
        }

    def _follow(self, ada: cast.SignedIn, operation_id: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def ask() -> bool:
            seen.update(ada.api.get(f"operations/{operation_id}/"))
            return seen["state"] in FINAL_STATES

        self.stage.until(
            "the relayer bundles and sends, the chain confirms",
            ask,
            within_s=PAID_WITHIN_S,
            standing=lambda: str(seen.get("state", "")),
        )
        if seen["state"] != "succeeded":
            raise phone.UnableToPlay(f"The payment failed: {seen.get('failure')}", code="payment_failed")
        self.stage.good(f"user operation {seen['user_operation_hash']}")
        self.stage.good(f"transaction    {seen['transaction_hash']} in block {seen['block_number']}")
        return seen

    def _listen(self, ada: cast.SignedIn, *, payment_id: str, bill_id: str) -> list[str]:
        with self.stage.waiting("Ada's phone listens"):
            ada.listener.wait_for(
                lambda notice: notice["kind"] == "payment.paid" and notice["data"]["payment_id"] == payment_id,
                within_s=NOTICE_WITHIN_S,
                what="the payment",
            )
        mine = [
            notice
            for notice in ada.listener.notices
            if notice["data"].get("payment_id") == payment_id or notice["data"].get("bill_id") == bill_id
        ]
        for notice in mine[1:]:
            self.stage.notice(notice)
        kinds = [str(notice["kind"]) for notice in mine]
        sequences = [notice["sequence"] for notice in ada.listener.notices]
        if kinds != ["bill.issued", "payment.pending", "payment.paid"] or sequences != sorted(set(sequences)):
            raise phone.UnableToPlay(f"The notices came as {kinds} {sequences}.", code="notices_out_of_order")
        return kinds

    def _check(
        self, *, wallet: wallet_models.Wallet, paid: dict[str, Any], before: proof.Holdings, after: proof.Holdings
    ) -> None:
        moved = {paid["token"]["symbol"]: int(paid["amount_units"])}
        if int(paid["fee_units"]):
            symbol = paid["fee_token"]["symbol"]
            moved[symbol] = moved.get(symbol, 0) + int(paid["fee_units"])
        found = proof.check_payment(
            stack=self.stack,
            payment=proof.Payment(
                transaction_hash=paid["transaction_hash"],
                block_number=paid["block_number"],
                wallet=wallet.address,
                treasury=self.stack.utility.treasury_address,
                moved=moved,
            ),
            before=before,
            after=after,
        )
        for words in found:
            self.stage.good(words)

    def _show_fee(self, quote: dict[str, Any]) -> str:
        if not int(quote["fee_units"]):
            return f"no network fee: {quote.get('reason') or 'the utility pays it'}"
        expires_at = datetime.datetime.fromisoformat(quote["expires_at"])
        left_s = (expires_at - clock.get_now()).total_seconds()
        fee = f"{decimal.Decimal(quote['fee']).normalize():f} {quote['fee_token']['symbol']}"
        return f"{fee} network fee, locked for {left_s:.0f} s"


def _money(amount: str) -> str:
    return f"{decimal.Decimal(amount):,.2f}"
