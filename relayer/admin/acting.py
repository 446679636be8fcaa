"""What staff do to operations, utilities and keys: a page that says what will happen, asks for the reason, and does it.

An administrator acts on their utility's operations and on the utility itself; keys are the operator's.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from django import forms, http, shortcuts, urls
from django.contrib import admin, messages
from django.core import exceptions
from unfold import widgets

from customers import models as customer_models
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, errors
from relayer import models
from relayer.usecases import drain_key, drop_operation, pause_utility, retry_operation

ACTORS = frozenset({tenant_admin.Roles.ADMINISTRATOR})


class Reason(forms.Form):
    """Why it is done."""

    reason = forms.CharField(
        label="Reason",
        max_length=300,
        strip=True,
        help_text="Stands in the record with your name, and with a dropped operation for whoever sent it.",
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that can be done: its words, and the use case."""

    title: str
    verb: str
    will: str
    done: str
    act: Callable[..., None]
    key: str


_OF_OPERATION = {
    "retry": Action(
        title="Try this operation at once",
        verb="Try at once",
        will="The operation waits no longer: a relay takes it up with the next bundle. If the chain still refuses it, "
        "it waits again or fails with the chain's reason. Nothing is sent twice.",
        done="It waits no longer.",
        act=retry_operation.retry,
        key="user_operation_hash",
    ),
    "drop": Action(
        title="Drop this operation",
        verb="Drop it",
        will="The operation fails here with your reason, and whoever asked for it is told. We have sent it to no node; "
        "an application that signed it may still bring it to the chain itself. This cannot be undone; it can be signed "
        "anew.",
        done="Dropped.",
        act=drop_operation.drop,
        key="user_operation_hash",
    ),
}
_OF_UTILITY = {
    "pause": Action(
        title="Pause this utility",
        verb="Pause",
        will="New operations and quotes of this utility are refused within a second (code -32002, `utility_paused`), "
        "those of its applications and of its own customers. What is under way ends as ever. Resume undoes it.",
        done="Paused.",
        act=pause_utility.pause,
        key="utility_id",
    ),
    "resume": Action(
        title="Resume this utility",
        verb="Resume",
        will="New operations of this utility are taken again within a second.",
        done="Resumed.",
        act=pause_utility.resume,
        key="utility_id",
    ),
}
_OF_KEY = {
    "drain": Action(
        title="Drain this key",
        verb="Drain",
        will="No new bundle is sent with this key. Its open bundles are followed, sent again and replaced until they "
        "are final; then it is disabled. Bringing it back undoes it at any time.",
        done="It drains.",
        act=drain_key.drain,
        key="key_id",
    ),
    "bring-back": Action(
        title="Bring this key back",
        verb="Bring back",
        will="Bundles are sent with this key again. Its nonce is read of the chain, so nothing must be set.",
        done="It is in use again.",
        act=drain_key.bring_back,
        key="key_id",
    ),
}


def may_act(request: http.HttpRequest, *, utility_id: int) -> bool:
    """Say whether the person may act on a utility and its operations."""
    return bool(_utilities(request).filter(pk=utility_id).exists())


def may_act_on_keys(request: http.HttpRequest) -> bool:
    """Say whether the person may act on keys, which serve every utility."""
    return bool(request.user.is_active and request.user.is_staff and request.user.is_superuser)


def act_on_operation(request: http.HttpRequest, hash_: str, kind: str) -> http.HttpResponse:
    """Retry or drop an operation."""
    action = _known(_OF_OPERATION, kind)
    row = models.UserOperation.objects.filter(hash=_checked(hash_), utility__in=_utilities(request)).first()
    if row is None:
        raise exceptions.PermissionDenied
    back = urls.reverse("admin:relayer_useroperation_change", args=[row.hash])
    cannot = ""
    if kind == "drop":
        try:
            drop_operation.check(operation=row, now=clock.get_now())
        except drop_operation.UnableToDrop as error:
            cannot = error.detail
    return _serve(request, action, of=str(row.hash), subject=str(row.hash), back=back, cannot=cannot)


def act_on_utility(request: http.HttpRequest, utility_id: int, kind: str) -> http.HttpResponse:
    """Pause or resume a utility."""
    action = _known(_OF_UTILITY, kind)
    row = _utilities(request).filter(pk=utility_id).first()
    if row is None:
        raise exceptions.PermissionDenied
    return _serve(request, action, of=row.pk, subject=str(row), back=urls.reverse("admin:relayer_status"))


def act_on_key(request: http.HttpRequest, key_id: int, kind: str) -> http.HttpResponse:
    """Drain a key or bring it back."""
    action = _known(_OF_KEY, kind)
    if not may_act_on_keys(request):
        raise exceptions.PermissionDenied
    row = shortcuts.get_object_or_404(models.RelayerKey, pk=key_id)
    in_use = models.RelayerKey.objects.filter(is_enabled=True, draining_since=None, chain_id=row.chain_id)
    is_last = kind == "drain" and list(in_use.values_list("pk", flat=True)) == [row.pk]
    warning = "It is the last key in use: nothing will be sent any more until one is brought back." if is_last else ""
    back = urls.reverse("admin:relayer_status")
    return _serve(request, action, of=row.pk, subject=str(row.address), back=back, warning=warning)


def _serve(
    request: http.HttpRequest,
    action: Action,
    *,
    of: object,
    subject: str,
    back: str,
    warning: str = "",
    cannot: str = "",
) -> http.HttpResponse:
    form = Reason(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            action.act(**{action.key: of}, by=request.user, reason=form.cleaned_data["reason"], now=clock.get_now())
        except errors.UnableTo as error:
            form.add_error(None, error.detail)
        else:
            messages.success(request, f"{subject}: {action.done}")
            return shortcuts.redirect(back)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": action.title,
        "action": action,
        "subject": subject,
        "form": form,
        "back": back,
        "warning": warning,
        "cannot": cannot,
    }
    return shortcuts.render(request, "relayer/act.html", context)


def _utilities(request: http.HttpRequest) -> Any:
    return tenant_admin._rows_of(customer_models.Utility, request, ACTORS)  # noqa: SLF001 - the same rule


def _known(actions: dict[str, Action], kind: str) -> Action:
    if kind not in actions:
        raise http.Http404
    return actions[kind]


def _checked(hash_: str) -> str:
    if len(hash_) != 2 + 64 or not hash_.startswith("0x"):
        raise http.Http404
    return hash_
