"""Reads what is typed: amounts, prices, times. Nothing is rounded on the way in."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tokenbooth.catalog.cards.service import Stage
from tokenbooth.core.caller import Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.money import parse_decimal
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, Period
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.launch.stages.service import Stage as LaunchStage

NANO_DECIMALS = 9
PRICE_DECIMALS = 6
US_PER_S = 1_000_000
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SPAN_S_MAX = 100 * 366 * 86_400
NO_CAP = "none"


def amount_nano(text: str, param: str) -> int:
    """An amount such as ``12.50``, up to nine decimals, above zero."""
    nano = parse_decimal(text, decimals=NANO_DECIMALS, param=param)
    if nano == 0:
        raise Problem(Code.INVALID_VALUE, f"{param} must be above zero.", param=param)
    return nano


def cap_nano(text: str | None, param: str = "cap") -> int | None:
    """A hard cap; absent or ``none`` means no cap."""
    if text is None or text == NO_CAP:
        return None
    return parse_decimal(text, decimals=NANO_DECIMALS, param=param)


def period_of(text: str) -> Period:
    """How often a cap begins anew. Raises INVALID_VALUE naming the periods."""
    try:
        return Period(text)
    except ValueError as error:
        raise Problem(
            Code.INVALID_VALUE,
            f"cap-period must be one of: {', '.join(Period)}.",
            param="cap-period",
        ) from error


def price_pico(text: str, param: str) -> int:
    """A price per million, up to six decimals, as pico-units each."""
    return parse_decimal(text, decimals=PRICE_DECIMALS, param=param)


def span_s(text: str, param: str) -> int:
    """A span such as ``90s``, ``15m``, ``12h`` or ``30d``; a bare number is seconds."""
    found = re.fullmatch(r"([0-9]{1,10})([smhd]?)", text)
    seconds = int(found[1]) * SECONDS[found[2] or "s"] if found else SPAN_S_MAX + 1
    if seconds > SPAN_S_MAX:
        raise Problem(
            Code.INVALID_VALUE, f"{param} must be a span such as 15m, 12h or 30d.", param=param
        )
    return seconds


def expiry_us(text: str | None, now_us: int) -> int | None:
    """When a key ends; what ``moment_us`` reads."""
    return moment_us(text, now_us, "expires")


def moment_us(text: str | None, now_us: int, param: str) -> int | None:
    """A span from now, a UTC day, or an ISO time; a time without a zone is UTC."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+[smhd]", text):
        return now_us + span_s(text, param) * US_PER_S
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem(
            Code.INVALID_VALUE,
            f"{param} must be a span such as 30d, or a time such as 2026-12-31T23:59:59Z.",
            param=param,
        ) from error
    return int(moment.timestamp()) * US_PER_S


def scopes_of(names: list[str] | None) -> frozenset[Scope]:
    """Every scope when none is named."""
    if not names:
        return frozenset(Scope)
    try:
        return frozenset(Scope(name) for name in names)
    except ValueError as error:
        known = ", ".join(Scope)
        raise Problem(
            Code.INVALID_VALUE, f"scope must be one of: {known}.", param="scope"
        ) from error


def tier_of(text: str) -> ServiceTier:
    """Raises INVALID_VALUE naming the tiers."""
    try:
        return ServiceTier(text)
    except ValueError as error:
        raise Problem(
            Code.INVALID_VALUE, f"tier must be one of: {', '.join(ServiceTier)}.", param="tier"
        ) from error


def stage_of(text: str) -> Stage:
    """Raises INVALID_VALUE listing the stages."""
    try:
        return Stage(text)
    except ValueError as error:
        known = ", ".join(stage.value for stage in Stage)
        raise Problem(
            Code.INVALID_VALUE, f"stage must be one of: {known}.", param="stage"
        ) from error


def launch_stage_of(text: str) -> LaunchStage:
    """Raises INVALID_VALUE listing the stages of a launch."""
    try:
        return LaunchStage(text)
    except ValueError as error:
        known = ", ".join(stage.value for stage in LaunchStage)
        raise Problem(
            Code.INVALID_VALUE, f"stage must be one of: {known}.", param="stage"
        ) from error


def data_terms_of(text: str) -> DataTerms:
    """Raises INVALID_VALUE naming the terms."""
    try:
        return DataTerms(text)
    except ValueError as error:
        raise Problem(
            Code.INVALID_VALUE,
            f"data-terms must be one of: {', '.join(DataTerms)}.",
            param="data-terms",
        ) from error


def check_any(given: Mapping[str, object]) -> None:
    """Raises MISSING_FIELD naming the options when none of them was given."""
    if all(value is None for value in given.values()):
        names = " or ".join(f"--{name}" for name in given)
        raise Problem(Code.MISSING_FIELD, f"Say what to change: {names}.", param=next(iter(given)))


def limit_scope(text: str) -> LimitScope:
    """A level at which money is limited."""
    try:
        return LimitScope(text)
    except ValueError as error:
        known = ", ".join(LimitScope)
        raise Problem(
            Code.INVALID_VALUE, f"scope must be one of: {known}.", param="scope"
        ) from error


def percents_of(text: str, *, none: str) -> tuple[int, ...]:
    """``50,80,95``, or the word for none; which percentages are allowed is not judged here."""
    if text == none:
        return ()
    if not re.fullmatch(r"[0-9]{1,3}(,[0-9]{1,3})*", text):
        raise Problem(
            Code.INVALID_VALUE,
            "percents must be whole numbers with commas between, such as 50,80,95.",
            param="percents",
        )
    return tuple(map(int, text.split(",")))


def file_bytes(path: Path, bytes_max: int, param: str = "file") -> bytes:
    """One byte more than ``bytes_max`` at most, so that the reader can tell. Raises
    INVALID_VALUE for a file that cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(bytes_max + 1)
    except OSError as error:
        raise Problem(
            Code.INVALID_VALUE, f"{path} cannot be read: {error.strerror}.", param=param
        ) from error


def pairs(texts: list[str] | None, param: str = "option") -> dict[str, str]:
    """``NAME=VALUE`` texts; a name stands once."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise Problem(
                Code.INVALID_VALUE,
                f"{text!r} is not a NAME=VALUE, or stands twice.",
                param=param,
            )
        found[name] = value
    return found
