"""Which form an answer takes: as the framework has it, only sooner for most."""

from typing import Any

import pytest
from rest_framework import exceptions, negotiation, renderers, request, test

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
