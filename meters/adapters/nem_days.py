"""The 300 records of a NEM12 file, compiled: bytes to whole thousandths without a float or an object a value.

Anything out of the ordinary makes it give up; `meters.adapters.nem` then reads record by record and says what it is.
"""

# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0911, PLR0912, PLR0917, PLR2004 - compiled for speed, typed at the call
# mypy: disable-error-code="no-untyped-def, assignment"

import numba
import numpy as np

MISSING = np.iinfo(np.int64).min
_COMMA, _POINT, _MINUS, _NEWLINE, _RETURN, _ZERO = 44, 46, 45, 10, 13, 48


@numba.njit(cache=True, nogil=True)
def find_lines(buffer, starts, records):
    """Write each line's start and its record (the three digits that begin it, -1 for none); return how many."""
    count, at, size = 0, 0, buffer.shape[0]
    while at < size:
        starts[count] = at
        number = 0
        for i in range(at, min(at + 3, size)):
            digit = np.int64(buffer[i]) - _ZERO
            number = number * 10 + digit if 0 <= digit <= 9 and number >= 0 else -1
        records[count] = number
        count += 1
        while at < size and buffer[at] != _NEWLINE:
            at += 1
        at += 1
    return count


@numba.njit(cache=True, nogil=True)
def read_days(buffer, starts, places, codes, values, days, qualities):
    """Read 300 records that begin at `starts`: `values` [records, intervals] in units of 10 ** -places.

    `days` are days since 1970, `codes` [256] the quality of each method letter (255 for none). Return False at the
    first record that is not as the specification has it.
    """
    size = buffer.shape[0]
    for row in range(starts.shape[0]):
        at = starts[row] + 4
        if at + 9 > size or buffer[at - 1] != _COMMA:
            return False
        number = np.int64(0)
        for i in range(at, at + 8):
            digit = np.int64(buffer[i]) - _ZERO
            if digit < 0 or digit > 9:
                return False
            number = number * 10 + digit
        days[row] = _day(number // 10000, number // 100 % 100, number % 100)
        at += 8
        if days[row] < 0 or buffer[at] != _COMMA:
            return False
        for i in range(values.shape[1]):
            at += 1
            sign, whole, digits, decimals = 1, np.int64(0), 0, -1
            if at < size and buffer[at] == _MINUS:
                sign = -1
                at += 1
            while at < size and buffer[at] != _COMMA:
                if buffer[at] == _POINT:
                    if decimals >= 0:
                        return False
                    decimals = 0
                else:
                    digit = np.int64(buffer[at]) - _ZERO
                    if digit < 0 or digit > 9:
                        return False
                    whole = whole * 10 + digit
                    digits += 1
                    decimals += 1 if decimals >= 0 else 0
                at += 1
            if at >= size or digits > 12:
                return False
            decimals = max(decimals, 0)
            if digits == 0:
                if sign < 0:
                    return False
                values[row, i] = MISSING
                continue
            if decimals > places or digits + places - decimals > 15:
                return False
            for _ in range(places - decimals):
                whole *= 10
            values[row, i] = sign * whole
        at += 1
        code = codes[buffer[at]] if at < size else 255
        if code == 255:
            return False
        qualities[row] = code
    return True


@numba.njit(cache=True, nogil=True)
def _day(year, month, day):
    """Return days since 1970 of a date of the Gregorian calendar, or -1 for none."""
    if year < 1970 or year > 2200 or month < 1 or month > 12 or day < 1:
        return -1
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = 31
    if month in (4, 6, 9, 11):
        length = 30
    elif month == 2:
        length = 29 if is_leap else 28
    if day > length:
        return -1
    shifted = year - (1 if month <= 2 else 0)
    era_year = shifted % 400
    month_of = (month + 9) % 12
    day_of_year = (153 * month_of + 2) // 5 + day - 1
    return shifted // 400 * 146097 + era_year * 365 + era_year // 4 - era_year // 100 + day_of_year - 719468
