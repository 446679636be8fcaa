"""How a lower storey calls a higher one: by the name of an event, through one visible table.

The table is `UPCALLS` in `openvpp/settings/upcalls.py`. Handlers run in the caller's transaction and are
resolved at start by a system check.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils import module_loading

from openvpp.core import db


@db.transaction_required
def call(*, event: str, **kwargs: Any) -> None:
    """Call every handler of `event`, in the table's order, inside the open transaction.

    :raises KeyError: when the table does not know the event.
    """
    for path in settings.UPCALLS[event]:
        resolve(path=path)(**kwargs)


def resolve(*, path: str) -> Callable[..., Any]:
    """Return the function behind a dotted path.

    :raises ImportError: when there is none.
    """
    function = module_loading.import_string(path)
    if not callable(function):
        raise ImportError(f"{path} is not callable.")  # noqa: TRY004 - it is the path that is wrong
    return function  # type: ignore[no-any-return]
