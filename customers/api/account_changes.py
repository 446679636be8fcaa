"""What a new password ends is ended in the transaction that stores it."""

from typing import Any

from allauth.account import adapter

from customers.usecases import keep_sign_ins
from openvpp.core import clock, db


class Adapter(adapter.DefaultAccountAdapter):
    """Stores a password and ends every other sign-in, and what apps were allowed, at once."""

    def set_password(self, user: Any, password: str) -> None:
        """Store it; a process that dies meanwhile leaves the old password and what was allowed, or neither."""
        with db.transaction_if_not_already():
            super().set_password(user, password)
            session = getattr(self.request, "session", None)
            if session is None:
                keep_sign_ins.end_everything(user=user, now=clock.get_now())
            else:
                keep_sign_ins.end_access(user=user, session=session, now=clock.get_now())
