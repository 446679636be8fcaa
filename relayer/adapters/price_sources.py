"""What the configured sources say of a price: a feed on the chain, an address that answers in JSON, a fixed number.

A source is a mapping with a `kind`: `{"kind": "chainlink", "feed": address}` (the deployment's own without `feed`),
`{"kind": "http", "url": …, "price": "path.to.price", "at": "path.to.unix.seconds"}` (asked now, without `at`), or
`{"kind": "fixed", "usd": "1.00"}`.
"""

import datetime
import decimal
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from contracts.bindings import words
from openvpp.core import errors, http
from relayer.adapters import chain
from relayer.domain import prices

logger = logging.getLogger(__name__)


def observe(
    *, sources: Sequence[Mapping[str, Any]], feed: bytes | None, now: datetime.datetime
) -> list[prices.Observation]:
    """Return what each source says, in their order; one that has no price is left out, and logged.

    :raises errors.Unreachable: the chain does not answer; other sources may be away.
    """
    found = []
    for source in sources:
        try:
            found.append(_observe(source=source, feed=feed, now=now))
        except (errors.Refused, ValueError, KeyError, IndexError, TypeError, decimal.InvalidOperation) as error:
            logger.warning("price source %s has no price: %s", source.get("url") or source.get("kind"), error)
    return found


def _observe(*, source: Mapping[str, Any], feed: bytes | None, now: datetime.datetime) -> prices.Observation:
    if source["kind"] == "chainlink":
        return _of_feed(feed=words.parse_address(source["feed"]) if "feed" in source else feed, now=now)
    if source["kind"] == "http":
        return _of_page(source=source, now=now)
    if source["kind"] == "fixed":
        return _observation(source="fixed", price=source["usd"], at=now)
    raise ValueError(f"unknown kind {source['kind']!r}")


def _of_feed(*, feed: bytes | None, now: datetime.datetime) -> prices.Observation:
    if feed is None:
        raise ValueError("the deployment has no feed of this token")
    price, decimals = chain.feed_price(feed=feed)
    return _observation(
        source="feed " + words.checksummed(feed),
        price=decimal.Decimal(price.answer).scaleb(-decimals),
        at=min(datetime.datetime.fromtimestamp(price.updated_at, tz=datetime.UTC), now),
    )


def _of_page(*, source: Mapping[str, Any], now: datetime.datetime) -> prices.Observation:
    parts = urlsplit(source["url"])
    try:
        answer = http.Client(base_url=f"{parts.scheme}://{parts.netloc}").get(
            path=parts.path or "/", params=dict(parse_qsl(parts.query)) or None
        )
    except errors.Unreachable as error:
        raise ValueError(str(error)) from error
    at = now
    if "at" in source:
        at = min(datetime.datetime.fromtimestamp(float(_part(answer, source["at"])), tz=datetime.UTC), now)
    return _observation(source=parts.hostname or "http", price=_part(answer, source["price"]), at=at)


def _part(answer: Any, path: str) -> Any:
    for name in path.split("."):
        answer = answer[int(name)] if isinstance(answer, list) else answer[name]
    return answer


def _observation(*, source: str, price: Any, at: datetime.datetime) -> prices.Observation:
    value = decimal.Decimal(str(price))
    if not value.is_finite() or value <= 0:
        raise ValueError(f"{price} is no price")
    return prices.Observation(source=source[:100], price_usd=value, observed_at=at)
