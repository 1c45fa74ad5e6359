"""Finished answers of the account API."""

import json
from collections.abc import Mapping

import msgspec

from tokenbooth.protocols.dialect import Answer

JSON_HEADERS = (("content-type", "application/json"), ("cache-control", "no-store"))
_EXACT = msgspec.json.Encoder(decimal_format="number")
# Version 0.0.4 of the Prometheus text exposition format.
METRICS_HEADERS = (("content-type", "text/plain; version=0.0.4; charset=utf-8"),)


def json_answer(document: Mapping[str, object], status: int = 200) -> Answer:
    """Written as ASCII, so that no stored text can fail to encode."""
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return Answer(status, JSON_HEADERS, body)


def exact_answer(document: Mapping[str, object]) -> Answer:
    """Decimals are written as the numbers that they are, digit by digit."""
    return Answer(200, JSON_HEADERS, _EXACT.encode(document))


def metrics_answer(body: bytes) -> Answer:
    return Answer(200, METRICS_HEADERS, body)
