"""What stands against the closing of an account."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One reason, with a stable code and in words for the customer."""

    code: str
    detail: str

    def to_json(self) -> dict[str, str]:
        return dataclasses.asdict(self)
