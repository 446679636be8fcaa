"""What a wallet answers at `/rpc/v1/<chain_id>` to whoever holds a person's access token: one function a method."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from customers import models as customer_models
from wallets import models, queries
from wallets.domain import permission_requests, wallet_calls
from wallets.oauth import scopes
from wallets.rpc import permissions
from wallets.usecases import send_calls

_Code = wallet_calls.Code
_SUPPORTED: Mapping[str, Any] = {
    "atomic": {"status": "supported"},
    "paymasterService": {"supported": True},
    "billPayment": {"supported": True},
    "permissions": {
        "supported": True,
        "signerTypes": ["wallet"],
        "permissionTypes": list(permission_requests.TYPES),
        "policyTypes": ["token-allowance"],
        "ruleTypes": ["expiry"],
    },
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose access token it is, for which wallet, and when."""

    user: customer_models.User
    token: models.AccessToken
    wallet: models.Wallet
    now: datetime.datetime


type Method = Callable[[Caller, Sequence[Any]], Any]


def answer(*, caller: Caller, method: str, parameters: object) -> Any:
    """Return a method's result.

    :raises wallet_calls.RefusedCall: the method's error, or there is no such method, or the token does not go that far.
    :raises errors.Unreachable: chain or signer do not answer.
    """
    if method not in _METHODS:
        raise wallet_calls.RefusedCall(
            _Code.UNSUPPORTED_METHOD, "A person's token calls their wallet alone; operations are sent with an API key."
        )
    scope, function = _METHODS[method]
    if scope is not None and not caller.token.allow_scopes([scope]):
        raise wallet_calls.RefusedCall(_Code.UNAUTHORIZED, f"The access token lacks the scope {scope}.")
    given = [] if parameters is None else parameters
    if not isinstance(given, list) or (not given and method not in _WITHOUT_PARAMETERS):
        raise wallet_calls.RefusedCall(_Code.BAD_PARAMETERS, "Parameters are a list.")
    return function(caller, given)


def _send_calls(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    asked = wallet_calls.read(given[0])
    id_ = send_calls.send(user=caller.user, grant=_grant(caller), asked=asked, now=caller.now)
    return {"id": id_}


def _calls_status(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    if not isinstance(given[0], str):
        raise wallet_calls.RefusedCall(_Code.BAD_PARAMETERS, "The parameter is the id of a batch.")
    return send_calls.status(
        user=caller.user, application_id=_grant(caller).application_id, id_=given[0], now=caller.now
    )


def _capabilities(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    address, chains = given[0], given[1] if len(given) > 1 else None
    if address is not None and str(address).lower() != str(caller.wallet.address).lower():
        raise wallet_calls.RefusedCall(_Code.UNAUTHORIZED, "This is not the person's wallet.")
    own = hex(caller.wallet.chain_id)
    if chains is not None and (not isinstance(chains, list) or own not in chains):
        return {}
    return {own: _SUPPORTED}


def _request_permissions(caller: Caller, given: Sequence[Any]) -> Any:
    if len(given) != 1:
        raise wallet_calls.RefusedCall(_Code.BAD_PARAMETERS, "One permission is asked for at a time.")
    return permissions.request(token=caller.token, wallet=caller.wallet, given=given[0], now=caller.now)


def _supported_permissions(caller: Caller, _given: Sequence[Any]) -> dict[str, Any]:
    return permissions.supported(wallet=caller.wallet)


def _granted_permissions(caller: Caller, _given: Sequence[Any]) -> list[dict[str, Any]]:
    return permissions.granted(token=caller.token, wallet=caller.wallet, now=caller.now)


def _revoke_permission(caller: Caller, given: Sequence[Any]) -> dict[str, Any]:
    context = given[0].get("permissionContext") if isinstance(given[0], Mapping) else None
    permissions.revoke(token=caller.token, wallet=caller.wallet, context=context, now=caller.now)
    return {}


def _grant(caller: Caller) -> models.SessionKeyGrant:
    grant = queries.get_active_grant(caller.token)
    if grant is None:
        raise wallet_calls.RefusedCall(
            _Code.UNAUTHORIZED, "The access token carries no permission to pay. Ask for one first."
        )
    return grant


# Name on the wire: the scope that a token needs, and the function.
_METHODS: dict[str, tuple[str | None, Method]] = {
    "wallet_sendCalls": (scopes.SPENDING_SCOPE, _send_calls),
    "wallet_getCallsStatus": (scopes.SPENDING_SCOPE, _calls_status),
    "wallet_getCapabilities": (None, _capabilities),
    "wallet_requestExecutionPermissions": (None, _request_permissions),
    "wallet_grantPermissions": (None, _request_permissions),
    "wallet_getSupportedExecutionPermissions": (None, _supported_permissions),
    "wallet_getGrantedExecutionPermissions": (None, _granted_permissions),
    "wallet_revokeExecutionPermission": (scopes.SPENDING_SCOPE, _revoke_permission),
    "wallet_revokePermissions": (scopes.SPENDING_SCOPE, _revoke_permission),
}
_WITHOUT_PARAMETERS = ("wallet_getSupportedExecutionPermissions", "wallet_getGrantedExecutionPermissions")
