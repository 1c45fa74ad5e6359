"""Rate limits: ``RateBook.admit`` and what a caller is told about them."""

from tokenbooth.admission.rates.book import RateBook, RateTicket
from tokenbooth.admission.rates.rules import anthropic_headers, headers, tokens_fit_max
from tokenbooth.admission.rates.values import RateFigure, RateState

__all__ = [
    "RateBook",
    "RateFigure",
    "RateState",
    "RateTicket",
    "anthropic_headers",
    "headers",
    "tokens_fit_max",
]
