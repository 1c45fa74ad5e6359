"""JSON-ready documents of price books, locks and what a new price would change."""

from tokenbooth.control.documents import Json, iso_moment, lines_json
from tokenbooth.control.price_forecast import Forecast, ModelForecast
from tokenbooth.control.prices import Change
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.service import DECIMALS, Book, PriceLock, PriceVersion, Tariff
from tokenbooth.protocols.receipts import sum_json


def book_json(book: Book) -> Json:
    """``decimals`` are those of a payment in that currency; charges are finer."""
    return {
        "object": "price_book",
        "id": book.id,
        "name": book.name,
        "currency": book.currency,
        "decimals": DECIMALS[book.currency],
    }


def version_json(version: PriceVersion) -> Json:
    """Every tier under all data terms, every context step."""
    return {
        "object": "price_version",
        "id": version.id,
        "model": version.model,
        "book_id": version.book_id,
        "currency": version.currency,
        "per": 1_000_000,
        "sequence": version.sequence,
        "author": version.author,
        "effective_at": iso_moment(version.effective_us),
        "lines": [line for tariff in version.tariffs for line in tariff_json(tariff)],
    }


def tariff_json(tariff: Tariff) -> list[Json]:
    """One row for each context step."""
    return [
        {
            **terms_json(tariff.tier, tariff.data_terms),
            "context_min_tokens": step.context_min_tokens,
            **lines_json(step.lines),
        }
        for step in tariff.steps
    ]


def terms_json(tier: ServiceTier, data_terms: DataTerms) -> Json:
    return {"tier": tier.value, "data_terms": data_terms.value}


def lock_json(lock: PriceLock) -> Json:
    return {
        "object": "price_lock",
        "organization_id": lock.org_id,
        "model": lock.model,
        "version": lock.version_id,
        "from": iso_moment(lock.from_us),
        "until": iso_moment(lock.until_us),
    }


def change_json(change: Change) -> Json:
    """``removed`` had a price and would have none."""
    return {
        "model": change.ask.model,
        "changed": change.is_one,
        "before": None if change.before is None else change.before.id,
        "lines": [line for tariff in change.ask.tariffs for line in tariff_json(tariff)],
        "tenfold_steps": [str(step) for step in change.steps],
        "removed": [terms_json(each.tier, each.data_terms) for each in change.removed],
    }


def forecast_json(forecast: Forecast) -> Json:
    return {
        "object": "price_forecast",
        "days": forecast.days,
        "data": [_line_json(line, forecast.currency) for line in forecast.models],
    }


def _line_json(line: ModelForecast, currency: str) -> Json:
    return {
        "model": line.model,
        "calls": line.calls,
        "old_total": sum_json(line.old_nano, currency),
        "new_total": sum_json(line.new_nano, currency),
        "difference": sum_json(line.difference_nano, currency),
        "locked_calls": line.locked,
        "refused_calls": line.refused,
        "refused_total": sum_json(line.refused_nano, currency),
    }
