"""How an operation ended, as the app that asked for it is told."""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

from relayer.domain import receipts


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of an operation. Without a receipt it never came into a block."""

    operation_id: uuid.UUID
    kind: str
    reference: str
    intent: Mapping[str, Any]
    succeeded: bool
    reason: str
    receipt: receipts.Receipt | None
