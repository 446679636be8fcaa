"""A person has claimed an account: their wallet is made soon after."""

import datetime

from openvpp.core import db, jobs


@db.transaction_required
def on_account_claimed(*, customer_id: int, now: datetime.datetime, **_: object) -> None:
    """Ask for the customer's wallet; making it waits for the signer and so happens after the claim."""
    jobs.enqueue(
        name="wallets.open_wallet",
        key=f"wallets.open_wallet:{customer_id}",
        arguments={"customer_id": customer_id},
        run_at=now,
    )
