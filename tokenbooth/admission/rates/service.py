"""Rate limits: ``RateBook.admit`` and what a caller is told about them."""

from tokenbooth.admission.rates.book import KEY, ORG, RateBook, RateTicket
from tokenbooth.admission.rates.rules import (
    anthropic_headers,
    check_fits,
    headers,
    refusal,
    tokens_fit_max,
)
from tokenbooth.admission.rates.values import Breach, RateFigure, RateState

__all__ = [
    "KEY",
    "ORG",
    "Breach",
    "RateBook",
    "RateFigure",
    "RateState",
    "RateTicket",
    "anthropic_headers",
    "check_fits",
    "headers",
    "refusal",
    "tokens_fit_max",
]
