"""Reading how wallets leave custody."""

from customers import models as customer_models
from openvpp.core import errors
from wallets import models


class UnableToFindExit(errors.NotFound):
    """This person never asked to leave custody."""


def get_exit(*, user: customer_models.User) -> models.CustodyExit:
    """Return the latest exit of a person's own wallet.

    :raises UnableToFindExit: there is none.
    """
    rows = models.CustodyExit.objects.for_customer(user).select_related("wallet").order_by("-created_at")
    found: models.CustodyExit | None = rows.first()
    if found is None:
        raise UnableToFindExit("No exit was asked for.", code="no_exit")
    return found


def get_open_exit(*, wallet: models.Wallet) -> models.CustodyExit | None:
    """Return the exit that is announced for a wallet, or on its way to be."""
    found: models.CustodyExit | None = models.CustodyExit.objects.filter(
        wallet=wallet, state__in=models.CustodyExit.OPEN_STATES
    ).first()
    return found
