"""Gas budgets and what gas cost against the fees, for a utility's staff and their tools."""

from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from customers import models as customer_models
from customers import queries as customers
from openvpp.core import clock, errors, scopes
from relayer.usecases import report_gas

_Role = customer_models.StaffRole.Role
VIEWERS = frozenset({_Role.PROGRAM_MANAGER, _Role.BILLING_ANALYST, _Role.AUDITOR, _Role.ADMINISTRATOR})
TAGS = ["Staff"]
MOST_DAYS = 366


class NotAllowedToSeeGas(errors.Forbidden):
    """This person looks after no utility's gas."""


def _utilities(request: drf_request.Request) -> list[int]:
    """Return the utilities whose gas this person looks after.

    :raises NotAllowedToSeeGas: there is none.
    """
    person = scopes.get_person(request)
    found = [
        utility.pk
        for utility in customers.get_staff_utilities(user=person)
        if customers.has_role(user=person, utility_id=utility.pk, roles=VIEWERS)
    ]
    if not found:
        raise NotAllowedToSeeGas("This is for those who look after a utility's gas.", code="not_allowed")
    return found


class ListBudgets(views.APIView):
    """Each gas budget of the running period."""

    required_scopes = ["policies:read"]

    class Output(serializers.Serializer[Any]):
        utility = serializers.CharField(source="policy.utility.slug")
        policy = serializers.UUIDField(source="policy.pk")
        name = serializers.CharField(source="policy.name")
        program = serializers.UUIDField(source="policy.program", allow_null=True, help_text="Null: the utility pays.")
        method = serializers.CharField(source="policy.method", allow_blank=True, help_text="All it pays for.")
        period = serializers.ChoiceField(source="policy.period", choices=["day", "month", "whole"])
        starts_at = serializers.DateTimeField(source="window.starts_at")
        ends_at = serializers.DateTimeField(source="window.ends_at", allow_null=True)
        each_wallet = serializers.BooleanField(
            source="policy.is_each", help_text="Each wallet has its own; this is the fullest."
        )
        limit_wei = serializers.CharField(source="row.limit_wei", allow_null=True)
        limit_count = serializers.IntegerField(source="row.limit_count", allow_null=True)
        reserved_wei = serializers.CharField(source="row.reserved_wei")
        reserved_count = serializers.IntegerField(source="row.reserved_count")
        settled_wei = serializers.CharField(source="row.settled_wei")
        settled_count = serializers.IntegerField(source="row.settled_count")
        left_wei = serializers.CharField(allow_null=True)
        left_count = serializers.IntegerField(allow_null=True)
        wei_per_day = serializers.CharField(source="pace.per_day", help_text="Over the last seven days.")
        lasts_until = serializers.DateTimeField(
            allow_null=True, help_text="At that pace; null if it outlasts its period."
        )

    @schema.extend_schema(
        operation_id="gas_budgets",
        summary="Gas budgets and how long they last",
        description="For staff: program managers, billing analysts, auditors and administrators, of their utilities.",
        tags=TAGS,
        responses={200: Output(many=True)},
    )
    def get(self, request: drf_request.Request) -> response.Response:
        found = report_gas.read_budgets(utility_ids=_utilities(request), now=clock.get_now())
        return response.Response(self.Output(found, many=True).data)


class ListDays(views.APIView):
    """What gas cost and what fees were worth, by UTC day."""

    required_scopes = ["policies:read"]

    class Input(serializers.Serializer[Any]):
        days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=30, help_text="Today's included.")

    class Output(serializers.Serializer[Any]):
        day = serializers.DateField()
        operations = serializers.IntegerField(help_text="That became final on this day.")
        gas_wei = serializers.CharField()
        fees_wei = serializers.CharField(help_text="Worth when they were quoted.")
        result_wei = serializers.CharField(help_text="Fees less gas.")

    @schema.extend_schema(
        operation_id="gas_days",
        summary="Gas against fees, by day",
        description="For staff: program managers, billing analysts, auditors and administrators, of their utilities.",
        tags=TAGS,
        parameters=[Input],
        responses={200: Output(many=True)},
    )
    def get(self, request: drf_request.Request) -> response.Response:
        asked = self.Input(data=request.query_params)
        asked.is_valid(raise_exception=True)
        days = asked.validated_data["days"]
        found = report_gas.read_days(utility_ids=_utilities(request), days=days, now=clock.get_now())
        return response.Response(self.Output(found, many=True).data)
