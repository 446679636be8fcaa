"""Prices from a feed and from a page beside it: what differs or leaps is held, told to staff, and not quoted from."""

import datetime
import decimal
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from contracts.bindings import words
from customers import models as customer_models
from notifications import models as notification_models
from openvpp.core import clock
from relayer import models, queries
from relayer.usecases import refresh_prices
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)


class _Page(http.server.BaseHTTPRequestHandler):
    said: Any = {}

    def do_GET(self) -> None:
        body = json.dumps(type(self).said).encode()
        self.send_response(200 if self.path == "/v1/price?of=ovpp" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/price?of=ovpp"
    server.shutdown()
    server.server_close()


def test_a_page_that_differs_from_the_feed_holds_the_price(relayer: Relayer, page: str, settings: LazySettings) -> None:
    manager = customer_models.User.objects.create(email="analyst@tests.example", is_staff=True)
    customer_models.StaffRole.objects.create(user=manager, utility=relayer.utility, role="billing_analyst")
    source = {"kind": "http", "url": page, "price": "data.0.usd", "at": "data.0.at"}
    settings.PRICE_SOURCES = {"ovpp": [{"kind": "chainlink"}, source], "stablecoin": [{"kind": "fixed", "usd": "1"}]}
    ovpp = words.checksummed(relayer.chain.deployment.ovpp)

    def refresh(usd: object) -> int:
        _Page.said = {"data": [{"usd": usd, "at": clock.get_now().timestamp()}]}
        return refresh_prices.refresh_prices(chain_id=relayer.chain.chain_id, now=clock.get_now())

    assert refresh("0.0501") == 3
    assert refresh(0.06) == 2
    row = models.TokenPrice.objects.get(token=ovpp)
    assert (row.price_usd, row.held_price_usd) == (decimal.Decimal("0.05"), decimal.Decimal("0.05"))
    assert row.held_reason.endswith("127.0.0.1 0.06 USD: too far apart.")
    assert queries.get_price_usd(chain_id=relayer.chain.chain_id, token=ovpp, now=clock.get_now()) == row.price_usd
    assert refresh(0.06) == 2
    (notice,) = notification_models.Notice.objects.filter(user=manager)
    assert notice.title == f"The price of {ovpp} is held back"
    assert refresh("no number") == 3  # the page has no price, and the feed is believed alone
    row.refresh_from_db()
    assert (row.held_at, row.held_reason) == (None, "")


def test_staff_hear_of_a_price_that_is_out_of_date(relayer: Relayer, settings: LazySettings) -> None:
    manager = customer_models.User.objects.create(email="analyst@tests.example", is_staff=True)
    customer_models.StaffRole.objects.create(user=manager, utility=relayer.utility, role="administrator")
    settings.PRICE_MAX_AGE = datetime.timedelta(minutes=10)
    later = clock.get_now() + datetime.timedelta(hours=2)
    assert refresh_prices.refresh_prices(chain_id=relayer.chain.chain_id, now=later) == 0
    assert refresh_prices.refresh_prices(chain_id=relayer.chain.chain_id, now=later) == 0
    titles = notification_models.Notice.objects.filter(user=manager).values_list("title", flat=True)
    assert sorted(titles) == sorted(
        f"The price of {row.token} is out of date" for row in models.TokenPrice.objects.all()
    )
    assert len(titles) == 3
