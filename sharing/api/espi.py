"""Green Button Connect My Data (NAESB REQ.21, ESPI 4.0): a third party fetches what a customer lets it have."""

import datetime
import itertools
import zoneinfo
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from django import http
from django.conf import settings
from django.utils import dateparse
from drf_spectacular import types as schema_types
from drf_spectacular import utils as schema
from rest_framework import negotiation, serializers, views
from rest_framework import request as drf_request

from meters.domain import espi_xml
from openvpp.core import clock, db, errors
from sharing import models, permissions, queries
from sharing.domain import resources
from sharing.usecases import serve_usage, share_data

XML_TYPE = {(200, resources.MEDIA_TYPE): schema_types.OpenApiTypes.STR}
WINDOW = [
    schema.OpenApiParameter(name, datetime.datetime, description=words)
    for name, words in (
        ("published-min", "Blocks whose first readings came then or later."),
        ("published-max", "Blocks whose first readings came then or earlier."),
        ("updated-min", "Blocks whose latest readings came then or later."),
        ("updated-max", "Blocks whose latest readings came then or earlier."),
    )
]


class _XmlNegotiation(negotiation.DefaultContentNegotiation):
    """Let a caller ask for Atom; refusals are problem documents all the same."""

    def select_renderer(self, request: drf_request.Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class Resource(views.APIView):
    """One address of the resource tree."""

    permission_classes = [permissions.HasDataScope]
    content_negotiation_class = _XmlNegotiation
    required_scopes: ClassVar[list[str]] = []

    def get_share(self, request: drf_request.Request, subscription_id: object = None) -> serve_usage.Share:
        """Return what the token opens, which is one subscription.

        :raises errors.UnableTo: the token opens none, or another.
        """
        now = clock.get_now()
        authorization = queries.get_authorization_of(token=request.auth, now=now)
        if subscription_id is not None and str(authorization.pk) != str(subscription_id):
            raise errors.NotFound("There is no such resource.", code="not_found")
        return serve_usage.open_share(authorization=authorization, now=now)


def described(name: str, summary: str, *, window: bool = False) -> Callable[[Any], Any]:
    """Return the description of an address for OpenAPI."""
    return schema.extend_schema(
        operation_id=f"espi_{name}",
        tags=["Green Button"],
        summary=summary,
        parameters=WINDOW if window else [],
        responses=XML_TYPE,
    )


class BatchSubscription(Resource):
    @described("batch_subscription", "Fetch everything of a subscription", window=True)
    def get(self, request: drf_request.Request, subscription_id: str) -> http.StreamingHttpResponse:
        share = self.get_share(request, subscription_id)
        href = resources.batch_href(base=settings.BASE_URL, authorization_id=share.authorization.pk)
        return feed(href=href, entries=serve_usage.everything(share=share, window=read_window(request)), now=share.now)


class BatchUsagePoint(Resource):
    @described("batch_usage_point", "Fetch everything of a usage point", window=True)
    def get(self, request: drf_request.Request, subscription_id: str, point_id: str) -> http.StreamingHttpResponse:
        share = self.get_share(request, subscription_id)
        point = serve_usage.find_point(share=share, point_id=point_id)
        entries = serve_usage.point_and_below(share=share, point=point, window=read_window(request))
        return feed(
            href=f"{settings.BASE_URL}{request.path}",
            entries=itertools.chain([serve_usage.local_time(share=share)], entries),
            now=share.now,
        )


class UsagePoints(Resource):
    @described("usage_points", "List usage points")
    def get(self, request: drf_request.Request, subscription_id: str) -> http.StreamingHttpResponse:
        share = self.get_share(request, subscription_id)
        entries = [serve_usage.usage_point(share=share, point=point) for point in share.points]
        return feed(href=f"{share.root}/UsagePoint", entries=entries, now=share.now)


class UsagePoint(Resource):
    @described("usage_point", "Fetch a usage point")
    def get(self, request: drf_request.Request, subscription_id: str, point_id: str) -> http.HttpResponse:
        share = self.get_share(request, subscription_id)
        point = serve_usage.find_point(share=share, point_id=point_id)
        return alone(serve_usage.usage_point(share=share, point=point))


class MeterReadings(Resource):
    @described("meter_readings", "List the readings of a usage point")
    def get(self, request: drf_request.Request, subscription_id: str, point_id: str) -> http.StreamingHttpResponse:
        share = self.get_share(request, subscription_id)
        point = serve_usage.find_point(share=share, point_id=point_id)
        entries = [
            serve_usage.meter_reading(share=share, point=point, flow=flow) for flow in serve_usage.flows(share=share)
        ]
        return feed(
            href=f"{serve_usage.point_href(share, point)}/MeterReading",
            entries=entries,
            now=share.now,
        )


class MeterReading(Resource):
    @described("meter_reading", "Fetch one direction's reading")
    def get(self, request: drf_request.Request, subscription_id: str, point_id: str, flow: str) -> http.HttpResponse:
        share = self.get_share(request, subscription_id)
        point = serve_usage.find_point(share=share, point_id=point_id)
        return alone(
            serve_usage.meter_reading(share=share, point=point, flow=serve_usage.find_flow(share=share, name=flow))
        )


class IntervalBlocks(Resource):
    @described("interval_blocks", "List the blocks of a reading", window=True)
    def get(
        self, request: drf_request.Request, subscription_id: str, point_id: str, flow: str
    ) -> http.StreamingHttpResponse:
        share = self.get_share(request, subscription_id)
        point = serve_usage.find_point(share=share, point_id=point_id)
        entries = serve_usage.interval_blocks(
            share=share,
            point=point,
            flow=serve_usage.find_flow(share=share, name=flow),
            window=read_window(request),
        )
        return feed(href=f"{settings.BASE_URL}{request.path}", entries=entries, now=share.now)


class IntervalBlock(Resource):
    @described("interval_block", "Fetch a block")
    def get(
        self, request: drf_request.Request, subscription_id: str, point_id: str, flow: str, block: str
    ) -> http.HttpResponse:
        share = self.get_share(request, subscription_id)
        point = serve_usage.find_point(share=share, point_id=point_id)
        chosen = serve_usage.find_flow(share=share, name=flow)
        blocks = serve_usage.interval_blocks(share=share, point=point, flow=chosen, window=serve_usage.EVERYTHING)
        for entry in blocks:
            if entry.href.endswith(f"/IntervalBlock/{block}"):
                return alone(entry)
        raise errors.NotFound("There is no such resource.", code="not_found")


class ReadingType(Resource):
    @described("reading_type", "Fetch what a reading is in")
    def get(self, request: drf_request.Request, point_id: str, flow: str) -> http.HttpResponse:
        share = self.get_share(request)
        point = serve_usage.find_point(share=share, point_id=point_id)
        return alone(
            serve_usage.reading_type(share=share, point=point, flow=serve_usage.find_flow(share=share, name=flow))
        )


class LocalTimeParameters(Resource):
    @described("local_time_parameters", "Fetch the zone of local time")
    def get(self, request: drf_request.Request, utility_id: int | None = None) -> http.HttpResponse:
        utility = queries.get_third_party_of(token=request.auth).utility
        if utility_id not in {None, utility.pk}:
            raise errors.NotFound("There is no such resource.", code="not_found")
        return alone(serve_usage.local_time_of(utility=utility, now=clock.get_now()))


class ReadServiceStatus(Resource):
    @described("service_status", "Ask whether the service is up")
    def get(self, request: drf_request.Request) -> http.HttpResponse:
        queries.get_third_party_of(token=request.auth)
        return document(resources.service_status())


class Authorizations(Resource):
    @described("authorizations", "List authorizations: the token's own, or a third party's all")
    def get(self, request: drf_request.Request) -> http.StreamingHttpResponse:
        now = clock.get_now()
        token: Any = request.auth
        if token.user_id is not None:
            found: Iterable[models.Authorization] = [queries.get_authorization_of(token=token, now=now)]
        else:
            party = queries.get_third_party_of(token=token)
            found = queries.get_live_authorizations_of(third_party=party, now=now).iterator()
        entries = (authorization_entry(authorization, now=now) for authorization in found)
        return feed(href=f"{settings.BASE_URL}{resources.ROOT}/Authorization", entries=entries, now=now)


class Authorization(Resource):
    @described("authorization", "Fetch an authorization")
    def get(self, request: drf_request.Request, authorization_id: str) -> http.HttpResponse:
        return alone(authorization_entry(self._find(request, authorization_id), now=clock.get_now()))

    @schema.extend_schema(
        operation_id="espi_authorization_end",
        tags=["Green Button"],
        summary="End an authorization",
        description="The third party wants no more of the customer's data; its tokens end with it.",
        responses={204: None},
    )
    def delete(self, request: drf_request.Request, authorization_id: str) -> http.HttpResponse:
        found = self._find(request, authorization_id)
        with db.transaction():
            share_data.end(
                authorization_id=found.pk, ended_by=models.Authorization.EndedBy.THIRD_PARTY, now=clock.get_now()
            )
        return http.HttpResponse(status=204)

    def _find(self, request: drf_request.Request, authorization_id: str) -> models.Authorization:
        now = clock.get_now()
        token: Any = request.auth
        if token.user_id is not None:
            mine = queries.get_authorization_of(token=token, now=now)
            found: models.Authorization | None = mine if str(mine.pk) == str(authorization_id) else None
        else:
            party = queries.get_third_party_of(token=token)
            found = party.authorizations.filter(pk=authorization_id).first()
        if found is None:
            raise errors.NotFound("There is no such resource.", code="not_found")
        return found


class ApplicationInformation(Resource):
    @described("application_information", "Fetch the third party's own registration")
    def get(self, request: drf_request.Request, third_party_id: int | None = None) -> http.HttpResponse:
        party = queries.get_third_party_of(token=request.auth)
        if third_party_id not in {None, party.pk}:
            raise errors.NotFound("There is no such resource.", code="not_found")
        href = f"{settings.BASE_URL}{resources.ROOT}/ApplicationInformation/{party.pk}"
        content = resources.application_information(
            resources.Registration(
                custodian=party.utility.slug,
                base=settings.BASE_URL,
                href=href,
                client_id=party.application.client_id,
                name=party.name,
                description=party.description,
                website=party.website,
                contact=party.contact_email,
                notify_uri=party.notify_uri,
                redirect_uris=party.application.redirect_uris.split(),
                scope=party.application.allowed_scopes,
                registered_at=party.registered_at,
                is_active=party.application.is_active,
            )
        )
        return alone(
            espi_xml.Entry(
                href=href,
                up=href.rpartition("/")[0],
                title=party.name,
                content=content,
                published=party.registered_at,
                updated=party.registered_at,
            )
        )


def authorization_entry(authorization: models.Authorization, *, now: datetime.datetime) -> espi_xml.Entry:
    """Return an authorization's entry; the scope is told without the term that binds tokens to it."""
    href = resources.authorization_href(base=settings.BASE_URL, authorization_id=authorization.pk)
    changed = authorization.ended_at or authorization.starts_at
    return espi_xml.Entry(
        href=href,
        up=href.rpartition("/")[0],
        title="",
        content=resources.authorization(
            base=settings.BASE_URL,
            authorization_id=authorization.pk,
            period=(authorization.starts_at, authorization.ends_at),
            history_starts_at=authorization.history_starts_at,
            scope=authorization.scope.partition(";Authorization=")[0],
            is_live=authorization.is_live(now=now),
            shares_customer=bool(authorization.terms.retail_blocks),
        ),
        published=authorization.starts_at,
        updated=changed,
    )


def read_window(request: drf_request.Request) -> serve_usage.Window:
    """Return the blocks that a query asks for; instants of Atom (RFC 3339), or epoch seconds.

    :raises serializers.ValidationError: an end is neither.
    """
    ends = {}
    for name in ("published-min", "published-max", "updated-min", "updated-max"):
        text = request.query_params.get(name)
        ends[name] = None if text is None else _instant(name, text)
    return serve_usage.Window(
        published_from=ends["published-min"],
        published_to=ends["published-max"],
        updated_from=ends["updated-min"],
        updated_to=ends["updated-max"],
    )


def feed(*, href: str, entries: Iterable[espi_xml.Entry], now: datetime.datetime) -> http.StreamingHttpResponse:
    """Return entries as a feed, streamed; what cannot be read is refused as long as the answer has not begun."""

    def lines() -> Iterator[str]:
        yield espi_xml.open_feed(href=href, title="Green Button", updated=now)
        for entry in entries:
            yield entry.to_xml()
        yield espi_xml.CLOSE_FEED

    text = lines()
    begun = list(itertools.islice(text, 4))
    return http.StreamingHttpResponse(
        itertools.chain(begun, text), content_type=resources.MEDIA_TYPE, headers={"Cache-Control": "no-store"}
    )


def alone(entry: espi_xml.Entry) -> http.HttpResponse:
    """Return one entry."""
    return document(espi_xml.alone(entry))


def document(text: str) -> http.HttpResponse:
    """Return a document that no cache keeps."""
    return http.HttpResponse(text, content_type=resources.MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _instant(name: str, text: str) -> datetime.datetime:
    try:
        found = (
            datetime.datetime.fromtimestamp(int(text), tz=datetime.UTC)
            if text.isdecimal()
            else dateparse.parse_datetime(text.replace(" ", "+"))
        )
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        raise serializers.ValidationError({name: ["Give an instant, YYYY-MM-DDTHH:MM:SSZ."]})
    return found if found.tzinfo is not None else found.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))
