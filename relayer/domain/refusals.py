"""Why the EntryPoint would refuse a bundle: which operation, and what that means for it."""

import dataclasses
import enum

from contracts.bindings import reverts, words

_FAILED_OP = words.selector("FailedOp(uint256,string)")
_FAILED_OP_WITH_REVERT = words.selector("FailedOpWithRevert(uint256,string,bytes)")


class Meaning(enum.Enum):
    """What to do with the operation."""

    FINAL = "never again"
    UNCLEAR = "the node does not say why"
    NONCE = "its nonce is used, or not yet due"
    WINDOW = "not yet due, or expired"
    DEPOSIT = "the paymaster's deposit is too low now"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The operation at `index` of the bundle is refused (None: the node does not say which)."""

    index: int | None
    meaning: Meaning
    reason: str


_MEANINGS = {
    "AA22": Meaning.WINDOW,
    "AA25": Meaning.NONCE,
    "AA31": Meaning.DEPOSIT,
    "AA32": Meaning.WINDOW,
}


def read(revert_data: bytes) -> Refusal:
    """Return what the EntryPoint's revert says (ERC-4337 error codes AAxx)."""
    reason = reverts.describe(revert_data)
    if revert_data[:4] not in (_FAILED_OP, _FAILED_OP_WITH_REVERT):
        return Refusal(index=None, meaning=Meaning.UNCLEAR, reason=reason)
    body = revert_data[4:]
    try:
        index = words.read_uint(body, 0)
        code = words.read_bytes(body, words.read_uint(body, 32))[:4].decode("ascii", "replace")
    except ValueError:
        return Refusal(index=None, meaning=Meaning.UNCLEAR, reason=reason)
    return Refusal(index=index, meaning=_MEANINGS.get(code, Meaning.FINAL), reason=reason)
