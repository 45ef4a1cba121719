"""Decimal numbers in JSON to the nearest double, digit for digit what Python's `float` gives."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.columns.words import Bytes, word_at
from schemas.kernel import bare, inlined

Words = NDArray[np.uint64]
Doubles = NDArray[np.float64]

#: Numbers beyond this many digits, or whose last digit is worth more or less than 10 to these powers, are left alone.
MOST_DIGITS: Final = 19
LEAST_POWER: Final = -60
MOST_POWER: Final = 60

#: Powers of ten that are doubles (W. D. Clinger, "How to read floating point numbers accurately", PLDI 1990).
MOST_EXACT_POWER: Final = 22
EXACT_POWERS: Final = np.array([10.0**power for power in range(MOST_EXACT_POWER + 1)])

#: Stands for a number whose nearest double the kernel cannot tell: the bits of a double that it never gives.
UNKNOWN: Final = 1


def _powers_of_five() -> tuple[Words, Words]:
    """The first 128 bits of each power of 5, rounded up where it is a fraction, in two words."""
    high, low = [], []
    for power in range(LEAST_POWER, MOST_POWER + 1):
        five = 5 ** abs(power)
        size = five.bit_length()
        if power >= 0:
            bits = five << (128 - size) if size <= 128 else five >> (size - 128)
        else:
            bits = 2 ** (2 * size + 128) // five + 1
            bits >>= max(bits.bit_length() - 128, 0)
        high.append(bits >> 64)
        low.append(bits & (2**64 - 1))
    return np.array(high, np.uint64), np.array(low, np.uint64)


HIGH_BITS, LOW_BITS = _powers_of_five()

# numba makes a float of an unsigned and a signed integer together: words meet words alone.
_ZERO, _ONE, _THREE, _TEN = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(10)
_HALF, _TOP, _LOW_HALF = np.uint64(32), np.uint64(63), np.uint64(0xFFFFFFFF)
_WORD, _ALL, _UNKNOWN = np.uint64(64), np.uint64(2**64 - 1), np.uint64(UNKNOWN)
_EXACT: Final = np.uint64(2**53)

#: Of eight bytes: the digit 0 in each, what takes a byte above 9 to its top bit, the top and the low bits.
_ZEROS, _ABOVE_NINE = np.uint64(0x3030303030303030), np.uint64(0x7676767676767676)
_TOP_BITS, _LOW_BITS, _LAST_BYTE = np.uint64(0x8080808080808080), np.uint64(0x0101010101010101), np.uint64(56)
_EIGHT, _SIXTEEN, _BYTES = np.uint64(8), np.uint64(16), np.uint64(0x000000FF000000FF)
_UPPER_PLACES, _LOWER_PLACES = np.uint64(0x000F424000000064), np.uint64(0x0000271000000001)
_TENS: Final = np.array([10**count for count in range(9)], np.uint64)
_MANTISSA, _NINE_BITS, _TO_MANTISSA = np.uint64(52), np.uint64(0x1FF), np.uint64(64 - 52 - 3)


@bare
def upper_word(a: Any, b: Any) -> Any:
    """The upper 64 of the 128 bits of a product."""
    a_low, a_high, b_low, b_high = a & _LOW_HALF, a >> _HALF, b & _LOW_HALF, b >> _HALF
    first, second = a_low * b_high, a_high * b_low
    middle = ((a_low * b_low) >> _HALF) + (first & _LOW_HALF) + (second & _LOW_HALF)
    return a_high * b_high + (first >> _HALF) + (second >> _HALF) + (middle >> _HALF)


@bare
def double_bits(digits: Any, power: int) -> Any:
    """The bits of the double nearest to `digits` × 10^`power`, ties to even; UNKNOWN where that is not plain.

    By D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51 (2021), without its
    ways for subnormals and for what 128 bits do not decide.
    """
    if digits == _ZERO:
        return _ZERO
    if power < LEAST_POWER or power > MOST_POWER:
        return _UNKNOWN
    zeros, step, word = _ZERO, _HALF, digits
    while step > _ZERO:  # until the first bit is a one
        if word >> (_WORD - step) == _ZERO:
            word <<= step
            zeros += step
        step >>= _ONE
    high = HIGH_BITS[power - LEAST_POWER]
    upper, lower = upper_word(word, high), word * high
    if upper & _NINE_BITS == _NINE_BITS:
        more = upper_word(word, LOW_BITS[power - LEAST_POWER])
        lower += more
        if more > lower:
            upper += _ONE
    if lower == _ALL and (power < -27 or power > 55):
        return _UNKNOWN
    first = upper >> _TOP
    shift = first + _TO_MANTISSA
    mantissa = upper >> shift
    exponent = ((217706 * power) >> 16) + 63 + np.int64(first) - np.int64(zeros) + 1023
    if exponent <= 0 or exponent >= 0x7FE:
        return _UNKNOWN
    if lower <= _ONE and power >= -4 and power <= 23 and mantissa & _THREE == _ONE and mantissa << shift == upper:
        mantissa -= _ONE  # just between two doubles, of which the even one is below
    mantissa = (mantissa + (mantissa & _ONE)) >> _ONE
    if mantissa >> (_MANTISSA + _ONE) != _ZERO:
        mantissa >>= _ONE
        exponent += 1
    return (mantissa & ((_ONE << _MANTISSA) - _ONE)) | (np.uint64(exponent) << _MANTISSA)


@inlined
def eight_digits(word: Any) -> Any:
    """The number of which each byte of a word is a digit, the first of them the lowest byte."""
    word = word * _TEN + (word >> _EIGHT)
    return ((word & _BYTES) * _UPPER_PLACES + ((word >> _SIXTEEN) & _BYTES) * _LOWER_PLACES) >> _HALF


@inlined
def scan_digits(text: Bytes, at: int, digits: Any) -> Any:
    """A number that goes on with the digits at `at`, as many as there are, and where they end; eight at a time."""
    while True:
        word = word_at(text, at) ^ _ZEROS
        others = ((word + _ABOVE_NINE) | word) & _TOP_BITS  # the lowest is the first byte that is no digit
        if others != _ZERO:
            break
        digits = digits * _TENS[8] + eight_digits(word)
        at += 8
    below = ((others & (_ZERO - others)) - _ONE) & _LOW_BITS
    count = np.int64((below * _LOW_BITS) >> _LAST_BYTE) - 1
    if count > 0:
        digits = digits * _TENS[count] + eight_digits(word << (_WORD - _EIGHT * np.uint64(count)))
    return digits, at + count


@inlined
def scan_number(text: Bytes, at: int, found: Words, floats: Doubles, row: int, column: int) -> int:
    """Read the JSON number at `at` into `found` as the bits of a double; where it ends, or −1 if that is not plain.

    `floats` is the same memory as `found`.
    """
    negative = text[at] == 45
    if negative:
        at += 1
    start = at
    digits, at = scan_digits(text, at, _ZERO)
    count, power = at - start, 0
    if count == 0 or (count > 1 and text[start] == 48):
        return -1
    if text[at] == 46:
        start = at + 1
        digits, at = scan_digits(text, start, digits)
        power = start - at
        if power == 0:
            return -1
    if count - power > MOST_DIGITS:
        return -1
    if text[at] == 101 or text[at] == 69:
        below = text[at + 1] == 45
        at += 2 if below or text[at + 1] == 43 else 1
        start, exponent = at, 0
        while text[at] >= 48 and text[at] <= 57 and at - start < 4:
            exponent = exponent * 10 + text[at] - 48
            at += 1
        if at == start or (text[at] >= 48 and text[at] <= 57):
            return -1
        power += -exponent if below else exponent
    if _ZERO < digits <= _EXACT and -MOST_EXACT_POWER <= power <= 0:  # both are doubles: their quotient is the nearest
        value = np.float64(np.int64(digits)) / EXACT_POWERS[-power]
        floats[row, column] = -value if negative else value
        return at
    bits = double_bits(digits, power)
    if bits == _UNKNOWN or (negative and bits == _ZERO):
        return -1
    found[row, column] = bits | (_ONE << _TOP) if negative else bits
    return at
