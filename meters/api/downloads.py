"""Usage to keep: CSV and Green Button files, streamed."""

import itertools
import re
from collections.abc import Iterator

from django import http
from drf_spectacular import types as schema_types
from drf_spectacular import utils as schema
from rest_framework import negotiation, views
from rest_framework import request as drf_request

from customers import models as customers_models
from meters.api import spans
from meters.domain import espi_xml
from meters.usecases import download_usage, show_usage
from openvpp.core import clock, scopes

CSV_TYPE = "text/csv; charset=utf-8"
ABOUT = (
    f"The intervals of the local days `[from, to)`, at most {show_usage.LONGEST_DOWNLOAD_DAYS} days; a customer gets "
    "the days on which an account of theirs took service there. "
)


class AnyMediaType(negotiation.DefaultContentNegotiation):
    """Let a caller ask for the file's own media type; refusals are problem documents all the same."""

    def select_renderer(self, request: drf_request.Request, renderers: object, format_suffix: object = None) -> object:
        """Return the one renderer there is."""
        first = next(iter(renderers))  # type: ignore[call-overload] # a list of renderers, which the stubs do not say
        return first, first.media_type


class Csv(views.APIView):
    """Intervals as comma-separated values."""

    required_scopes = ["usage:read"]
    content_negotiation_class = AnyMediaType

    @schema.extend_schema(
        operation_id="usage_csv_retrieve",
        tags=["Usage"],
        summary="Download usage as CSV",
        description=ABOUT + "RFC 4180: local time with its offset, the unit in the header.",
        parameters=spans.PARAMETERS,
        responses={(200, "text/csv"): schema_types.OpenApiTypes.STR},
    )
    def get(self, request: drf_request.Request) -> http.StreamingHttpResponse:
        return csv(user=scopes.get_person(request), query=request.query_params)


class GreenButton(views.APIView):
    """Intervals as a Green Button file (ESPI 4.0)."""

    required_scopes = ["usage:read"]
    content_negotiation_class = AnyMediaType

    @schema.extend_schema(
        operation_id="usage_green_button_retrieve",
        tags=["Usage"],
        summary="Download usage as Green Button",
        description=ABOUT + "An Atom feed of ESPI 4.0 resources; whoever imports it has the same sums.",
        parameters=spans.PARAMETERS,
        responses={(200, "application/atom+xml"): schema_types.OpenApiTypes.STR},
    )
    def get(self, request: drf_request.Request) -> http.StreamingHttpResponse:
        return green_button(user=scopes.get_person(request), query=request.query_params)


def csv(*, user: customers_models.User, query: object) -> http.StreamingHttpResponse:
    """Answer a query for CSV, for the API and for pages alike.

    :raises errors.UnableTo: see `meters.usecases.show_usage.find`.
    """
    place = _place(user=user, query=query)
    return _file(place=place, text=download_usage.csv(place=place), media_type=CSV_TYPE, extension="csv")


def green_button(*, user: customers_models.User, query: object) -> http.StreamingHttpResponse:
    """Answer a query for a Green Button file, for the API and for pages alike.

    :raises errors.UnableTo: see `meters.usecases.show_usage.find`.
    """
    place = _place(user=user, query=query)
    text = download_usage.green_button(place=place, now=clock.get_now())
    return _file(place=place, text=text, media_type=espi_xml.MEDIA_TYPE, extension="xml")


def _place(*, user: customers_models.User, query: object) -> show_usage.Place:
    asked = spans.Point(data=dict(query.items()))  # type: ignore[attr-defined] # a QueryDict of Django or DRF
    asked.is_valid(raise_exception=True)
    first, after = spans.read_days(query)
    return show_usage.find(
        user=user,
        service_point_id=asked.validated_data["service_point"],
        first=first,
        after=after,
        most_days=show_usage.LONGEST_DOWNLOAD_DAYS,
    )


def _file(
    *, place: show_usage.Place, text: Iterator[str], media_type: str, extension: str
) -> http.StreamingHttpResponse:
    # What cannot be read is refused with its reason as long as the answer has not begun.
    begun = list(itertools.islice(text, 4))
    days = "-".join(str(day) for day in (place.parts[0][0], place.parts[-1][1])) if place.parts else "empty"
    number = re.sub(r"[^A-Za-z0-9._-]", "_", place.point.number)
    response = http.StreamingHttpResponse(itertools.chain(begun, text), content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="usage-{number}-{days}.{extension}"'
    response["Cache-Control"] = "private, no-store"
    return response
