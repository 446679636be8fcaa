"""What an application says with its wish to be sponsored (the context of ERC-7677)."""

import dataclasses
import uuid
from collections.abc import Mapping

from relayer.domain import codes

_REFUSAL = "The context is null or one of sponsorshipPolicyId, token (of the fee) and quote (of a fee)."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """At most one of these is there; without any the rule says who pays."""

    policy: uuid.UUID | None = None
    token: object = None
    quote: uuid.UUID | None = None


def read(value: object, /) -> Context:
    """Return the context that was sent.

    :raises codes.RefusedCall: it is none.
    """
    if value is None or value == {}:
        return Context()
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, given),) = value.items()
        try:
            if name == "sponsorshipPolicyId":
                return Context(policy=uuid.UUID(str(given)))
            if name == "quote":
                return Context(quote=uuid.UUID(str(given)))
        except ValueError:
            raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, _REFUSAL) from None
        if name == "token":
            return Context(token=given)
    raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, _REFUSAL)
