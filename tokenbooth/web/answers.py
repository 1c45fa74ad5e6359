"""Finished answers of the account API."""

import json
from collections.abc import Mapping

from tokenbooth.protocols.dialect import Answer

JSON_HEADERS = (("content-type", "application/json"), ("cache-control", "no-store"))
# Version 0.0.4 of the Prometheus text exposition format.
METRICS_HEADERS = (("content-type", "text/plain; version=0.0.4; charset=utf-8"),)


def json_answer(document: Mapping[str, object], status: int = 200) -> Answer:
    """Written as ASCII, so that no stored text can fail to encode."""
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return Answer(status, JSON_HEADERS, body)


def metrics_answer(body: bytes) -> Answer:
    return Answer(200, METRICS_HEADERS, body)
