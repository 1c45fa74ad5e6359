"""The OpenAPI 3.1 document of the API, built from the tables that the code itself runs on."""

import json

from tokenbooth.protocols.openapi.completions import COMPLETION_SCHEMAS
from tokenbooth.protocols.openapi.files import FILE_SCHEMAS
from tokenbooth.protocols.openapi.messages import MESSAGES_SCHEMAS
from tokenbooth.protocols.openapi.money import MONEY_SCHEMAS
from tokenbooth.protocols.openapi.paths import paths
from tokenbooth.protocols.openapi.receipts import RECEIPT_SCHEMAS
from tokenbooth.protocols.openapi.responses import RESPONSE_SCHEMAS
from tokenbooth.protocols.openapi.schemas import SCHEMAS, Json
from tokenbooth.protocols.openapi.stored import STORED_SCHEMAS, stored_paths

__all__ = ["openapi_bytes", "openapi_document"]


def openapi_document(version: str) -> Json:
    """``version`` is the product's own."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tokenbooth",
            "version": version,
            "description": "Paid, metered access to models, in the forms of OpenAI and Anthropic.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**paths(), **stored_paths()},
        "components": {
            "schemas": {
                **SCHEMAS,
                **COMPLETION_SCHEMAS,
                **RESPONSE_SCHEMAS,
                **STORED_SCHEMAS,
                **MESSAGES_SCHEMAS,
                **FILE_SCHEMAS,
                **MONEY_SCHEMAS,
                **RECEIPT_SCHEMAS,
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x_api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def openapi_bytes(version: str) -> bytes:
    """The document as JSON."""
    return json.dumps(openapi_document(version), separators=(",", ":")).encode("ascii")
