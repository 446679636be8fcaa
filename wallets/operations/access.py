"""What a person let a third party have."""

import datetime
import uuid

from openvpp.core import db
from wallets import models


@db.transaction_required
def end_data_access(*, authorization_id: uuid.UUID, now: datetime.datetime) -> None:
    """End every token and code that came of a person's leave to have their data."""
    carries = {"scope__contains": f"Authorization={authorization_id}"}
    families = models.RefreshToken.objects.filter(
        access_token__in=models.AccessToken.objects.filter(**carries)
    ).values_list("token_family", flat=True)
    models.RefreshToken.objects.filter(token_family__in=list(families), revoked__isnull=True).update(
        revoked=now, updated=now
    )
    models.AccessToken.objects.filter(**carries).delete()
    models.Grant.objects.filter(**carries).delete()
