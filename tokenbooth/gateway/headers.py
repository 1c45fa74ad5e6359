"""The headers of an inference answer: what was held, what it cost, what was changed."""

from collections.abc import Iterable, Mapping

from tokenbooth.core.codes import Code
from tokenbooth.core.money import format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Receipt
from tokenbooth.gateway.prefixes import Match
from tokenbooth.protocols.dialect import Note

NOTES_MAX = 16
STRICT_HEADER = "x-tokenbooth-strict"
Pairs = tuple[tuple[str, str], ...]

_REMAINING = "remaining"


def hold_headers(
    amount_nano: int, limits: Iterable[LimitState], output_tokens_max: int, currency: str
) -> Pairs:
    """Known before the first output: the hold, what remains beside it, and the output limit."""
    return (
        ("x-tokenbooth-currency", currency),
        ("x-tokenbooth-held", format_nano(amount_nano)),
        ("x-tokenbooth-output-tokens-max", str(output_tokens_max)),
        *_remaining(limits),
    )


def receipt_headers(receipt: Receipt) -> Pairs:
    """Known when the call is settled."""
    return (
        ("x-tokenbooth-currency", receipt.currency),
        ("x-tokenbooth-cost", format_nano(receipt.cost_nano)),
        ("x-tokenbooth-price-version", receipt.price_version),
        *_remaining(receipt.limits),
    )


def lowered_header(output_tokens_max: int, by: LimitScope | None) -> Pairs:
    """Says that the output limit was lowered to what the money buys, and which level did it."""
    if by is None:
        return ()
    return (("x-tokenbooth-output-lowered", f"{output_tokens_max}; by={by.value}"),)


def prefix_headers(match: Match) -> Pairs:
    """How much of the prompt begins as the last one of the same conversation, and why no more."""
    found = f"matched-bytes={match.matched_bytes}; of-bytes={match.prefix.length_bytes}"
    why = "" if match.why is None else f"; reason={match.why.value}"
    return (("x-tokenbooth-prefix", found + why),)


def strict_of(headers: Mapping[str, str]) -> bool:
    """Whether the caller wants the stated output limit or nothing.

    Raises INVALID_VALUE for anything but ``1`` and ``0``.
    """
    said = headers.get(STRICT_HEADER, "0")
    if said not in ("0", "1"):
        raise Problem(
            Code.INVALID_VALUE, f"{STRICT_HEADER} is 1 or 0 (the default).", param=STRICT_HEADER
        )
    return said == "1"


def note_headers(notes: Iterable[Note]) -> Pairs:
    """Parameters that were not honoured as sent: ``param=what``, separated by commas."""
    shown = [f"{_visible(note.param)}={_visible(note.what)}" for note in notes]
    if not shown:
        return ()
    if len(shown) > NOTES_MAX:
        shown = [*shown[:NOTES_MAX], f"and {len(shown) - NOTES_MAX} more"]
    return (("x-tokenbooth-notes", ", ".join(shown)),)


def _remaining(limits: Iterable[LimitState]) -> list[tuple[str, str]]:
    return [
        (f"x-tokenbooth-remaining-{limit.scope}", limit.said.get(_REMAINING) or _left(limit))
        for limit in limits
        if limit.limit_nano is not None
    ]


def _left(limit: LimitState) -> str:
    text = limit.said[_REMAINING] = format_nano(limit.remaining_nano or 0)
    return text


def _visible(text: str) -> str:
    """Header-safe: printable ASCII, no separators that a caller could inject."""
    return "".join(c if c.isascii() and c.isprintable() and c != "," else "?" for c in text)[:100]
