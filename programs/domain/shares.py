"""An event's target shared over devices by what each can give.

Shares are whole watts, in proportion to available power, and sum to the target exactly; the watts that rounding down
leaves go to the largest remainders, ties to the device named first. A target above what there is gives everybody all
that they have.
"""

import decimal
from collections.abc import Mapping

WATTS_PER_KW = 1000


def available_kw(
    *, power_kw: decimal.Decimal, energy_kwh: decimal.Decimal | None, hours: decimal.Decimal
) -> decimal.Decimal:
    """Return the power that a device can hold for `hours`, whole W; a battery's is bounded by its energy."""
    held = power_kw if energy_kwh is None else min(power_kw, energy_kwh / hours)
    return held.quantize(decimal.Decimal("0.001"), rounding=decimal.ROUND_FLOOR)


def apportion[Name](
    *, target_kw: decimal.Decimal, available: Mapping[Name, decimal.Decimal]
) -> dict[Name, decimal.Decimal]:
    """Return each device's share in kW, those without one left out, in the order of `available`.

    :raises ValueError: a target or an available power that is not whole watts and positive.
    """
    target_w = _watts(target_kw)
    watts = {name: _watts(kw) for name, kw in available.items()}
    total_w = sum(watts.values())
    if target_w >= total_w:
        return dict(available)
    shares = {name: target_w * w // total_w for name, w in watts.items()}
    left_w = target_w - sum(shares.values())
    by_remainder = sorted(watts, key=lambda name: -(target_w * watts[name] % total_w))
    for name in by_remainder[:left_w]:
        shares[name] += 1
    return {name: decimal.Decimal(w) / WATTS_PER_KW for name, w in shares.items() if w}


def _watts(kw: decimal.Decimal) -> int:
    watts = kw * WATTS_PER_KW
    if watts != watts.to_integral_value() or watts <= 0:
        raise ValueError(f"{kw} kW is not whole watts and positive.")
    return int(watts)
