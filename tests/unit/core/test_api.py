"""What an answer is made of: the same as the serializer itself makes of a value."""

import datetime
import types
import uuid
from typing import Any

from rest_framework import serializers

from openvpp.core import api


class Part(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    decimals = serializers.IntegerField()


class Whole(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    account = serializers.CharField(source="holder.number")
    state = serializers.ChoiceField(choices=[("open", "Open")])
    parts = Part(many=True, source="pieces")
    part = Part()
    other = Part(allow_null=True)
    note = serializers.CharField(allow_null=True)
    secret = serializers.CharField(write_only=True)
    amount = serializers.SerializerMethodField()
    nothing = serializers.SerializerMethodField()
    made_at = serializers.DateTimeField()

    def get_amount(self, value: Any) -> str:
        return f"{value.units}.0"

    def get_nothing(self, _value: Any) -> None:
        return None


PIECE = types.SimpleNamespace(symbol="USDX", decimals="6")
VALUE = types.SimpleNamespace(
    id=uuid.UUID(int=7),
    holder=types.SimpleNamespace(number=12),
    state="open",
    pieces=[PIECE, PIECE],
    part=PIECE,
    other=None,
    note=None,
    secret="none's business",
    units=3,
    made_at=datetime.datetime(2026, 11, 2, 9, 30, tzinfo=datetime.UTC),
)


def test_a_value_is_shown_as_its_serializer_shows_it() -> None:
    shown = api.show(Whole, VALUE)

    assert list(shown.items()) == list(Whole(VALUE).data.items())
    assert (shown["account"], shown["parts"][1]["decimals"], shown["amount"]) == ("12", 6, "3.0")
    assert "secret" not in shown
