"""Changes that two people made, as rows; nothing follows from them."""

import datetime
from typing import Any

from controls import models
from controls.usecases import change_utility_terms
from customers import models as customer_models
from openvpp.core import clock
from tests.factories import customers


def applied_change(*, kind: str, subject: object, utility: customer_models.Utility, after: dict[str, Any]) -> None:
    """Let a change stand behind what a test writes into a row that two people guard."""
    now = clock.get_now()
    change = models.ChangeRequest.objects.create(
        utility=utility,
        kind=kind,
        subject=str(subject),
        title="As agreed",
        before={},
        after=after,
        reason="As agreed",
        maker=customers.StaffUser.create(),
        made_at=now,
        expires_at=now + datetime.timedelta(days=3),
    )
    models.ChangeRequest.objects.filter(pk=change.pk).update(
        state="applied", checker=customers.StaffUser.create(), decided_at=now
    )


def change_terms(utility: customer_models.Utility, **after: Any) -> None:
    """Give a utility other terms, as two people would."""
    terms = change_utility_terms.read(subject=str(utility.pk)) | after
    applied_change(kind="utility_terms", subject=utility.pk, utility=utility, after=terms)
    customer_models.Utility.objects.filter(pk=utility.pk).update(**after)


def change_token(token: customer_models.AcceptedToken, **after: Any) -> None:
    """Give a token other terms, as two people would."""
    held = {"pays_bills": token.pays_bills, "pays_fees": token.pays_fees, "fee_cap_units": str(token.fee_cap_units)}
    terms = held | {name: str(value) if name == "fee_cap_units" else value for name, value in after.items()}
    applied_change(kind="accepted_token", subject=token.pk, utility=token.utility, after=terms)
    customer_models.AcceptedToken.objects.filter(pk=token.pk).update(**after)
