"""Who may join a program, as data.

`{"device_kinds": ["battery"], "min_power_kw": "2.5", "postal_codes": ["04101"]}`; what is left out does not limit.
"""

import dataclasses
import decimal
from collections.abc import Mapping
from typing import Any, Self

KNOWN = frozenset({"device_kinds", "min_power_kw", "postal_codes"})


@dataclasses.dataclass(frozen=True, slots=True)
class Allowed:
    """The device may join."""


@dataclasses.dataclass(frozen=True, slots=True)
class Denied:
    """The device may not; `reason` is for its owner."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """A program's rules. Empty sets allow everything."""

    device_kinds: frozenset[str] = frozenset()
    min_power_kw: decimal.Decimal = decimal.Decimal(0)
    postal_codes: frozenset[str] = frozenset()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read the rules.

        :raises ValueError: a rule that is not known, or of the wrong form.
        """
        if unknown := sorted(set(data) - KNOWN):
            raise ValueError(f"Unknown rules: {', '.join(unknown)}.")
        for name in ("device_kinds", "postal_codes"):
            if not isinstance(data.get(name, []), list) or not all(isinstance(one, str) for one in data.get(name, [])):
                raise ValueError(f"{name} is not a list of texts.")
        try:
            min_power_kw = decimal.Decimal(str(data.get("min_power_kw", "0")))
        except decimal.InvalidOperation as error:
            raise ValueError("min_power_kw is not a number.") from error
        return cls(
            device_kinds=frozenset(data.get("device_kinds", [])),
            min_power_kw=min_power_kw,
            postal_codes=frozenset(data.get("postal_codes", [])),
        )

    def judge(self, *, kind: str, power_kw: decimal.Decimal, postal_code: str | None) -> Allowed | Denied:
        """Say whether a device may join; a device without a premise has no postal code."""
        if self.device_kinds and kind not in self.device_kinds:
            return Denied(f"The program takes {', '.join(sorted(self.device_kinds))}, not a {kind}.")
        if power_kw < self.min_power_kw:
            return Denied(f"The program takes devices of at least {self.min_power_kw} kW; this one has {power_kw} kW.")
        if self.postal_codes and postal_code not in self.postal_codes:
            return Denied("The program is not offered where this device stands.")
        return Allowed()
