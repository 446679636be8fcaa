"""The sessions of apps that sign in by the headless API, which send theirs as `X-Session-Token`."""

from allauth.headless.tokens.strategies import sessions
from django.contrib.sessions.backends import base

from customers.usecases import keep_sign_ins
from openvpp.core import clock


class Strategy(sessions.SessionTokenStrategy):
    """A session whose sign-in was ended elsewhere is none."""

    def lookup_session(self, session_token: str) -> base.SessionBase | None:
        """Return the session, and note that it was seen."""
        found: base.SessionBase | None = super().lookup_session(session_token)
        if found is None or not keep_sign_ins.see(session=found, address="", now=clock.get_now()):
            return None
        return found
