"""A person puts everybody out who is signed in as them."""

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, views

from customers import operations as customer_operations
from openvpp.core import clock, scopes


class SignOutEverywhere(views.APIView):
    """Sign out on every device."""

    required_scopes = ["account:write"]

    @schema.extend_schema(
        operation_id="me_sign_out_everywhere",
        summary="Sign out everywhere",
        description=(
            "Ends every sign-in of the person, every token of every app, this one included, and every permission to "
            "pay, in one transaction; keys that stand on the chain are taken off right after."
        ),
        tags=["Account"],
        request=None,
        responses={204: None},
    )
    def post(self, request: drf_request.Request) -> response.Response:
        customer_operations.sign_out_everywhere(user=scopes.get_person(request), now=clock.get_now())
        return response.Response(status=204)
