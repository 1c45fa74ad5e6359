"""Integer money: pico-units per metered unit in prices, nano-units in amounts.

1 USD = 10**9 nano = 10**12 pico. A price per million units with up to six decimals is a whole
number of pico per unit. int64 bounds a stored amount at about 9.2 billion USD.
"""

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

NANO_PER_UNIT = 10**9
PICO_PER_NANO = 1000
MICRO_PER_UNIT = 10**6
NANO_MAX = 2**63 - 1


def parse_decimal(text: str, *, decimals: int, param: str) -> int:
    """Read a plain decimal such as ``"12.5"`` as an integer of ``10**-decimals`` units.

    Raises Problem INVALID_VALUE for signs, exponents, blanks, too many decimals or overflow:
    nothing is ever rounded on the way in.
    """
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    if not whole or not digits.isascii() or not digits.isdigit() or (point and not fraction):
        raise Problem(
            Code.INVALID_VALUE, f"{param} must be a plain decimal such as 12.50.", param=param
        )
    if len(fraction) > decimals:
        raise Problem(
            Code.INVALID_VALUE, f"{param} has more than {decimals} decimals.", param=param
        )
    if len(digits) > 40 or (value := int(whole + fraction.ljust(decimals, "0"))) > NANO_MAX:
        raise Problem(Code.INVALID_VALUE, f"{param} is larger than can be booked.", param=param)
    return value


def format_nano(amount_nano: int) -> str:
    """The amount as a decimal string with nine decimals: ``1500000000`` is ``"1.500000000"``."""
    if amount_nano < 0:
        return f"-{format_nano(-amount_nano)}"
    return f"{amount_nano // NANO_PER_UNIT}.{amount_nano % NANO_PER_UNIT:09d}"


def pico_to_nano_half_even(amount_pico: int) -> int:
    """Round once, half to even (IEEE 754 roundTiesToEven), exactly on integers."""
    quotient, remainder = divmod(amount_pico, PICO_PER_NANO)
    half = PICO_PER_NANO // 2
    if remainder > half or (remainder == half and quotient % 2 == 1):
        return quotient + 1
    return quotient
