"""What a dial that counts up says was used between two reads."""

import dataclasses

_DAY = 86_400
_MILLI_PER_STEP = 10**6


class NotARollover(ValueError):
    """The later read is lower, and not because the dial went round."""


class TooMuch(ValueError):
    """More was counted than can have been used."""


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """What was counted between two reads, thousandths of the unit, and whether the dial went round."""

    milli_units: int
    went_round: bool


def whole(*, dials: int) -> int:
    """Return what a dial counts until it stands at nought again, thousandths of the unit."""
    return int(10**dials) * _MILLI_PER_STEP


def count(*, earlier: int, later: int, dials: int, seconds: int, most_a_day: int | None) -> Counted:
    """Return what the dial counted over `seconds` between two reads (thousandths of the unit).

    A lower read is a rollover only if what was counted then is no more than `most_a_day` allows, or, where nobody
    said what that is, no more than a quarter of the dial.

    :raises NotARollover: the later read is lower and was not reached by going round.
    :raises TooMuch: the later read is higher than `most_a_day` allows, or has more digits than the dial.
    """
    turn = whole(dials=dials)
    if max(earlier, later) >= turn:
        raise TooMuch(f"A dial of {dials} digits cannot show that.")
    most = turn // 4 if most_a_day is None else -(-most_a_day * seconds // _DAY)
    counted = later - earlier
    if counted < 0:
        if counted + turn > most:
            raise NotARollover(
                f"The read is lower than the one before it, and {counted + turn} thousandths of a unit since then "
                f"would be more than the {most} that can have been used."
            )
        return Counted(counted + turn, went_round=True)
    if most_a_day is not None and counted > most:
        raise TooMuch(f"{counted} thousandths of a unit since the read before are more than the {most} that can be.")
    return Counted(counted, went_round=False)
