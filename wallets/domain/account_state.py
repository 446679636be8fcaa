"""What the chain says of an account."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Whether an account is deployed, and its next nonce."""

    is_deployed: bool
    nonce: int
