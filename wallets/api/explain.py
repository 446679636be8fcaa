"""Why the spending policies allow or refuse an operation that somebody might wish for."""

import datetime
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from openvpp.core import clock, scopes
from wallets import models, queries

EXAMPLE = schema.OpenApiExample(
    "Refused by a rule",
    value={
        "allowed": False,
        "code": "denied_by_rule",
        "reason": "The utility's rule “at most 500 a day” refuses it.",
        "decided_by": {"scope": "utility", "version": 3, "rule": "at most 500 a day"},
        "steps": [
            {
                "scope": "utility",
                "version": 3,
                "rule": "at most 500 a day",
                "effect": "deny",
                "matches": True,
                "conditions": [
                    {
                        "must_hold": False,
                        "condition": {"kind": "spent", "at_most_units": "500000000", "seconds": 86400},
                        "holds": False,
                    }
                ],
            }
        ],
    },
    response_only=True,
)
_ADDRESS = r"^0x[0-9a-fA-F]{40}$"


class ExplainPolicy(views.APIView):
    """Ask about any hypothetical operation; nothing is reserved and nothing moves."""

    required_scopes = ["policies:read"]

    class Input(serializers.Serializer[Any]):
        wallet = serializers.RegexField(_ADDRESS, help_text="Address of a wallet of a utility where you are staff.")
        action = serializers.ChoiceField(choices=[kind.value for kind in queries.SPENDING])
        token = serializers.RegexField(_ADDRESS)
        payees = serializers.ListField(child=serializers.RegexField(_ADDRESS), min_length=1, max_length=500)
        units = serializers.RegexField(r"^[0-9]{1,78}$", help_text="Base units of the token, in decimal digits.")
        at = serializers.DateTimeField(required=False, help_text="Now, if left out.")

    class Output(serializers.Serializer[queries.Explanation]):
        class DeciderOutput(serializers.Serializer[Any]):
            scope = serializers.CharField()
            version = serializers.IntegerField(help_text="0 is the policy that is built in.")
            rule = serializers.CharField()

        class StepOutput(serializers.Serializer[Any]):
            class ConditionOutput(serializers.Serializer[Any]):
                must_hold = serializers.BooleanField(help_text="False for a condition of `unless`.")
                condition = serializers.JSONField()
                holds = serializers.BooleanField(allow_null=True, help_text="Null: not known from the facts.")

            scope = serializers.CharField()
            version = serializers.IntegerField()
            rule = serializers.CharField()
            effect = serializers.ChoiceField(choices=["allow", "deny"])
            matches = serializers.BooleanField(allow_null=True)
            conditions = ConditionOutput(many=True)

        allowed = serializers.BooleanField()
        code = serializers.CharField(allow_blank=True)
        reason = serializers.CharField(allow_blank=True)
        decided_by = DeciderOutput(allow_null=True)
        steps = StepOutput(many=True)

    @schema.extend_schema(
        operation_id="policies_explain",
        summary="Why an operation is allowed or refused",
        description="For staff. Every rule that was looked at is in `steps`; an explicit deny wins.",
        tags=["Staff"],
        request=Input,
        responses={200: Output},
        examples=[EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        asked = self.Input(data=request.data)
        asked.is_valid(raise_exception=True)
        wish = asked.validated_data
        at: datetime.datetime = wish.get("at") or clock.get_now()
        explanation = queries.explain_spending(
            wallet=queries.get_wallet_for_staff(user=scopes.get_person(request), address=wish["wallet"]),
            kind=models.Operation.Kind(wish["action"]),
            token=wish["token"],
            payees=wish["payees"],
            units=int(wish["units"]),
            at=at,
        )
        return response.Response(self.Output(explanation).data)
