"""A price list as a TOML file: every price a text with its amount, its currency and its unit.

A bare number is refused: a price per token read as one per million was a real customer's bill.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from tokenbooth.core.codes import Code
from tokenbooth.core.money import parse_decimal
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.service import DEFAULT_BOOK, Meter, Step, Tariff

SHEET_BYTES_MAX = 4 * 1024 * 1024
EXAMPLE = "'1.25 USD per million tokens'"
_UNITS = {
    Meter.INPUT: "token",
    Meter.CACHED_INPUT: "token",
    Meter.CACHE_WRITE: "token",
    Meter.OUTPUT: "token",
    Meter.REASONING: "token",
    Meter.IMAGE: "image",
    Meter.AUDIO_S: "second",
    Meter.VIDEO_S: "second",
    Meter.SEARCH: "search",
    Meter.CALL: "call",
}
_PLURALS = {"search": "searches"}
# A whole number of pico-units for each unit, whatever the price is given for.
_DECIMALS = {"million": 6, "thousand": 9, "": 12}
_PRICE = re.compile(r"(\S+) ([A-Z]{3}) per (?:(million|thousand) )?([a-z]+)")
_METERS = frozenset(meter.value for meter in Meter)


@dataclass(frozen=True, slots=True)
class ModelSheet:
    """Everything that one model shall cost."""

    model: str
    tariffs: tuple[Tariff, ...]


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """A whole file; ``book`` is a name or id, ``currency`` what the file says that it is in."""

    book: str
    currency: str
    models: tuple[ModelSheet, ...]


def read_sheet(content: bytes) -> PriceSheet:
    """Raises Problem INVALID_VALUE naming the place: ``price[2].step[0].input``."""
    document = _document(content)
    _only(document, {"book", "currency", "price"}, "")
    currency = _text(document, "currency", "")
    rows = _tables(document, "price", "")
    if not rows:
        _bad("price", "The file has no [[price]].")
    found: dict[str, list[Tariff]] = {}
    for number, row in enumerate(rows):
        path = f"price[{number}]"
        tariff = _tariff(row, currency, path)
        found.setdefault(_text(row, "model", path), []).append(tariff)
    models = tuple(ModelSheet(name, tuple(tariffs)) for name, tariffs in found.items())
    return PriceSheet(_text(document, "book", "", DEFAULT_BOOK), currency, models)


def price_of(text: object, meter: Meter, currency: str, path: str) -> int:
    """Pico-units of one unit. Raises INVALID_VALUE for a number without unit, for another
    currency or unit, and for more decimals than can be booked."""
    wanted = f"such as {EXAMPLE.replace('USD', currency).replace('token', _UNITS[meter])}"
    if not isinstance(text, str):
        _bad(path, f"{path} has no unit: write a text {wanted}.")
    parsed = _PRICE.fullmatch(text)
    if parsed is None:
        _bad(path, f"{path} is not a price with its unit, {wanted}.")
    amount, stated, scale, unit = parsed.groups()
    singular = _UNITS[meter]
    if unit not in (singular, _PLURALS.get(singular, f"{singular}s")):
        _bad(path, f"{path} is priced by the {singular}, {wanted}.")
    if stated != currency:
        _bad(path, f"{path} is in {stated}; the file says {currency}.")
    return parse_decimal(amount, decimals=_DECIMALS[scale or ""], param=path)


def _tariff(row: Mapping[str, Any], currency: str, path: str) -> Tariff:
    _only(row, {"model", "tier", "data_terms", "step", *_METERS}, path)
    tier = _choice(row, "tier", path, ServiceTier)
    data_terms = _choice(row, "data_terms", path, DataTerms)
    steps = [Step(0, _lines(row, currency, path))]
    for number, step in enumerate(_tables(row, "step", path)):
        inner = f"{path}.step[{number}]"
        _only(step, {"context_min_tokens", *_METERS}, inner)
        least = step.get("context_min_tokens")
        if type(least) is not int or least < 1:
            _bad(f"{inner}.context_min_tokens", f"{inner} needs a context_min_tokens above 0.")
        steps.append(Step(least, _lines(step, currency, inner)))
    return Tariff(ServiceTier(tier), DataTerms(data_terms), tuple(steps))


def _lines(row: Mapping[str, Any], currency: str, path: str) -> dict[Meter, int]:
    return {
        meter: price_of(row[meter.value], meter, currency, f"{path}.{meter.value}")
        for meter in Meter
        if meter.value in row
    }


def _document(content: bytes) -> dict[str, Any]:
    if len(content) > SHEET_BYTES_MAX:
        _bad("file", f"The file is over {SHEET_BYTES_MAX} bytes.")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        _bad("file", "The file is not UTF-8 text.")
    except tomllib.TOMLDecodeError as error:
        _bad("file", f"The file is not TOML: {error}.")


def _tables(row: Mapping[str, Any], name: str, path: str) -> list[dict[str, Any]]:
    found = row.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        _bad(_place(path, name), f"{_place(path, name)} must be tables: [[{name}]].")
    return found


def _text(row: Mapping[str, Any], name: str, path: str, default: str | None = None) -> str:
    found = row.get(name, default)
    if not isinstance(found, str) or not found:
        _bad(_place(path, name), f"{_place(path, name)} must be a text.")
    return found


def _choice(
    row: Mapping[str, Any], name: str, path: str, choices: type[ServiceTier] | type[DataTerms]
) -> str:
    """The first choice where nothing is said."""
    known = [each.value for each in choices]
    found = row.get(name, known[0])
    if found not in known:
        _bad(_place(path, name), f"{_place(path, name)} must be one of: {', '.join(known)}.")
    return str(found)


def _only(row: Mapping[str, Any], known: Iterable[str], path: str) -> None:
    stranger = next((name for name in row if name not in known), None)
    if stranger is not None:
        _bad(_place(path, stranger), f"{_place(path, stranger)} is not known here.")


def _place(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _bad(param: str, public: str) -> NoReturn:
    raise Problem(Code.INVALID_VALUE, public, param=param)
