"""The OpenAPI document is kept: schemathesis calls every operation and checks each answer by it."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import (
    allow_header_conformance,
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.outside.api.conftest import Running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
]
PATHS = {
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/{model}",
    "/v1/files",
    "/v1/files/{file_id}",
    "/v1/files/{file_id}/content",
    "/v1/balance",
    "/v1/usage",
    "/v1/requests",
    "/v1/requests/{request_id}",
    "/healthz",
    "/readyz",
    "/metrics",
}

# These read their bodies by the same shapes as the chat, or none at all.
LIGHT = {"/v1/completions", "/v1/embeddings", "/v1/files", "/v1/files/{file_id}"}


def test_every_operation_answers_as_the_document_says(running: Running) -> None:
    headers = {"authorization": f"Bearer {running.secret}"}
    schema = schemathesis.openapi.from_url(f"{running.address.base_url}/openapi.json")
    called: dict[str, int] = {}

    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=10 if operation.path in LIGHT else 30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Case) -> None:
            answer = case.call_and_validate(headers=headers, checks=CHECKS)
            assert answer.headers["x-request-id"]
            called[case.path] = called.get(case.path, 0) + 1

        ask()
    assert set(called) >= PATHS
