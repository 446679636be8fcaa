"""Who says whether an address is listed: a sandbox list from the settings, or a service over HTTP.

A service takes `POST {"addresses": [...]}` at `SCREENING_URL` and answers `{"listed": [...]}` with those of them that
are listed. Without one the sandbox list answers.
"""

import functools
from collections.abc import Collection

from django.conf import settings

from openvpp.core import errors, http

TIMEOUT_SECONDS = 2.0


def check(*, addresses: Collection[str]) -> set[str]:
    """Return those of the addresses that are listed, as they were given.

    :raises errors.Unreachable: nobody could say.
    """
    listed = _ask(sorted(addresses)) if settings.SCREENING_URL else set(settings.SCREENING_SANDBOX_LIST)
    lowered = {address.lower() for address in listed}
    return {address for address in addresses if address.lower() in lowered}


def name() -> str:
    """Return who answers, for the audit row."""
    return "service" if settings.SCREENING_URL else "sandbox list"


def _ask(addresses: list[str]) -> set[str]:
    try:
        answer = _client(settings.SCREENING_URL, settings.SCREENING_TOKEN).post(path="", body={"addresses": addresses})
    except errors.Refused as refusal:
        raise errors.Unreachable(f"The screening service answered no: {refusal.reason}") from None
    listed = answer.get("listed") if isinstance(answer, dict) else None
    if not isinstance(listed, list) or not all(isinstance(address, str) for address in listed):
        raise errors.Unreachable("The screening service did not say what is listed.")
    return set(listed)


@functools.lru_cache(maxsize=2)
def _client(url: str, token: str) -> http.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return http.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS)
