"""Which form a request has and its answer takes: as the framework has it, only sooner for most."""

from typing import Any

import pytest
from rest_framework import exceptions, negotiation, parsers, renderers, request, test

from openvpp.core import negotiation as ours

FORMS = [renderers.JSONRenderer(), renderers.StaticHTMLRenderer()]


def select(kind: type[negotiation.DefaultContentNegotiation], path: str, accept: str | None) -> Any:
    headers = {} if accept is None else {"accept": accept}
    asked = request.Request(test.APIRequestFactory().get(path, headers=headers))
    return kind().select_renderer(asked, FORMS)


@pytest.mark.parametrize("path", ["/", "/?format=json", "/?format=html", "/?a=1"])
@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "text/html", "text/html, */*;q=0.8", "application/json; indent=4"]
)
def test_the_form_is_the_frameworks(path: str, accept: str | None) -> None:
    try:
        wanted = select(negotiation.DefaultContentNegotiation, path, accept)
    except exceptions.NotAcceptable:
        wanted = None
    if wanted is None:
        with pytest.raises(exceptions.NotAcceptable):
            select(ours.ContentNegotiation, path, accept)
    else:
        assert select(ours.ContentNegotiation, path, accept) == wanted


@pytest.mark.parametrize("accept", ["", "image/png"])
def test_what_there_is_not_is_not_acceptable(accept: str) -> None:
    with pytest.raises(exceptions.NotAcceptable):
        select(ours.ContentNegotiation, "/", accept)


@pytest.mark.parametrize(
    ("content_type", "wanted"),
    [("application/json", 0), ("application/json; charset=utf-8", 0), ("multipart/form-data", 1), ("text/csv", None)],
)
def test_a_request_is_read_as_what_it_says_it_is(content_type: str, wanted: int | None) -> None:
    forms = [parsers.JSONParser(), parsers.MultiPartParser()]
    asked = request.Request(test.APIRequestFactory().post("/", b"{}", content_type=content_type))

    chosen = ours.ContentNegotiation().select_parser(asked, forms)

    assert chosen is (None if wanted is None else forms[wanted])
    assert chosen is negotiation.DefaultContentNegotiation().select_parser(asked, forms)
