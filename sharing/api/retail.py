"""Personal data of a customer (ESPI's retail customer schema), block by block as they were granted; else nothing."""

from collections.abc import Iterator

from django import http
from django.conf import settings
from rest_framework import request as drf_request

from meters.domain import espi_xml
from openvpp.core import errors
from sharing import queries
from sharing.api import espi
from sharing.domain import resources
from sharing.usecases import serve_usage

NAME, AGREEMENT, ADDRESS, METER = 54, 57, 58, 60


class RetailCustomer(espi.Resource):
    @espi.described("retail_customer", "Fetch personal data, where they were granted")
    def get(self, request: drf_request.Request, subscription_id: str) -> http.StreamingHttpResponse:
        share = self.get_share(request, subscription_id)
        if not share.authorization.terms.retail_blocks:
            raise errors.NotFound("There is no such resource.", code="not_found")
        href = resources.customer_href(base=settings.BASE_URL, authorization_id=share.authorization.pk)
        return espi.feed(href=href, entries=_entries(share, href), now=share.now)


def _entries(share: serve_usage.Share, href: str) -> Iterator[espi_xml.Entry]:
    authorization, blocks = share.authorization, share.authorization.terms.retail_blocks
    if NAME in blocks:
        yield share.entry(f"{href}/Customer/1", resources.customer(name=authorization.customer.name))
    chosen = set(authorization.points.values_list("service_point_id", flat=True))
    points = {point.service_point_id: point for point in authorization.points.all()}
    agreements = queries.get_shareable_agreements(
        user=authorization.user, utility_id=authorization.third_party.utility_id
    ).filter(service_point_id__in=chosen)
    for number, agreement in enumerate(agreements, start=1):
        if AGREEMENT in blocks:
            account = f"{href}/CustomerAccount/{number}"
            yield share.entry(account, resources.customer_account(number=agreement.account.number))
            yield share.entry(
                f"{account}/CustomerAgreement/{number}",
                resources.customer_agreement(tariff_code=agreement.tariff_code),
            )
        if ADDRESS in blocks:
            premise = agreement.service_point.premise
            yield share.entry(
                f"{href}/ServiceLocation/{number}",
                resources.service_location(
                    street=premise.street,
                    city=premise.city,
                    region=premise.region,
                    country=premise.country,
                    postal_code=premise.postal_code,
                    point_href=f"{share.root}/UsagePoint/{points[agreement.service_point_id].pk}",
                ),
            )
        if METER in blocks:
            for meter in agreement.service_point.meters.order_by("starts_on", "pk"):
                yield share.entry(f"{href}/Meter/{meter.pk}", resources.meter(serial=meter.serial))
