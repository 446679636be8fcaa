"""Which of a grant's limits stands against a spend."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit of a grant, inclusive, and what counts towards it already; base units."""

    code: str
    words: str
    limit_units: int
    spent_units: int

    @property
    def left_units(self) -> int:
        """Return what may still be spent."""
        return self.limit_units - self.spent_units


def first_against(*, spend_units: int, limits: tuple[Limit, ...]) -> Limit | None:
    """Return the first limit that a spend would pass, or None."""
    return next((limit for limit in limits if spend_units > limit.left_units), None)
