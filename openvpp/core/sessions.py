"""Sessions in the database under the hash of their key: who reads the table cannot take over a session."""

import hashlib
from typing import Any

from asgiref import sync
from django.contrib.sessions.backends import db as db_sessions

from openvpp.core import clock

# As long as the column of Django's table; 160 bits.
STORED_LENGTH = 40


class SessionStore(db_sessions.SessionStore):
    """Django's store, to which only a hash of the key that a browser or an app holds is known."""

    def _get_session_from_db(self) -> Any:
        row = self.model.objects.filter(
            session_key=stored_key(self.session_key), expire_date__gt=clock.get_now()
        ).first()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return bool(self.model.objects.filter(session_key=stored_key(session_key)).exists())

    def create_model_instance(self, data: Any) -> Any:
        row = super().create_model_instance(data)
        row.session_key = stored_key(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            self.model.objects.filter(session_key=stored_key(key)).delete()

    async def _aget_session_from_db(self) -> Any:
        return await sync.sync_to_async(self._get_session_from_db)()

    async def aexists(self, session_key: str) -> bool:
        return await sync.sync_to_async(self.exists)(session_key)

    async def acreate_model_instance(self, data: Any) -> Any:
        return await sync.sync_to_async(self.create_model_instance)(data)

    async def adelete(self, session_key: str | None = None) -> None:
        await sync.sync_to_async(self.delete)(session_key)


def stored_key(key: str | None) -> str:
    """Return what the table knows of a session key."""
    return hashlib.sha256((key or "").encode()).hexdigest()[:STORED_LENGTH]
