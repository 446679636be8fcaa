"""Who is calling."""

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from customers import models
from openvpp.core import scopes


class UtilityOutput(serializers.Serializer[object]):
    slug = serializers.CharField()
    name = serializers.CharField()
    time_zone = serializers.CharField(help_text="IANA name; local days and statement periods are in it.")
    currency = serializers.CharField()
    brand_color = serializers.CharField()


class Me(views.APIView):
    """The person that the token stands for, and the utilities that know them as a customer."""

    required_scopes = ["account:read"]

    class Output(serializers.Serializer[object]):
        class CustomerOutput(serializers.Serializer[object]):
            id = serializers.IntegerField()
            name = serializers.CharField()
            utility = UtilityOutput()

        id = serializers.IntegerField()
        email = serializers.EmailField()
        name = serializers.CharField(allow_blank=True)
        customers = CustomerOutput(many=True)

    @schema.extend_schema(
        tags=["Account"],
        summary="Who am I",
        responses={200: Output},
        examples=[
            schema.OpenApiExample(
                "Ada",
                response_only=True,
                value={
                    "id": 7,
                    "email": "ada@example.com",
                    "name": "Ada Rivera",
                    "customers": [
                        {
                            "id": 12,
                            "name": "Ada Rivera",
                            "utility": {
                                "slug": "harbor",
                                "name": "Harbor Light & Power",
                                "time_zone": "America/New_York",
                                "currency": "USD",
                                "brand_color": "#0b5fff",
                            },
                        }
                    ],
                },
            )
        ],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        person = scopes.get_person(request)
        customers = models.Customer.objects.for_customer(person).select_related("utility").order_by("pk")
        return response.Response(
            self.Output({"id": person.pk, "email": person.email, "name": person.name, "customers": customers}).data
        )
