"""In which currencies bills can be kept: those whose minor unit is a hundredth."""

from openvpp.core import errors

_MINOR_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
NOT_IN_HUNDREDTHS = {code: digits for digits, codes in _MINOR_DIGITS.items() for code in codes.split()}
"""ISO 4217, decimal places of each currency that has not two."""


class UnableToBillInCurrency(errors.Invalid):
    """Bills, books and payments count hundredths of the currency; this one is counted otherwise."""


def check(*, currency: str) -> None:
    """Refuse a currency whose minor unit is not a hundredth, before anything is rounded or booked in it.

    :raises UnableToBillInCurrency: it is one.
    """
    digits = NOT_IN_HUNDREDTHS.get(currency.upper())
    if digits is not None:
        raise UnableToBillInCurrency(
            f"{currency} has {digits} decimal places, and bills are kept in hundredths.",
            code="currency_not_in_hundredths",
            extra={"currency": currency, "decimal_places": digits},
        )
