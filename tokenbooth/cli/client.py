"""Calls a booth over HTTP, as any program of a customer would."""

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.proving.wire import EventFold

ANSWER_BYTES_MAX = 64 * 2**20
PIECE_BYTES = 64 * 1024
DONE = "[DONE]"
CODES = {code.text: code for code in Code}


class BoothClient:
    """``base_url`` ends in ``/v1`` or not; each call uses a connection of its own."""

    def __init__(self, base_url: str, key_secret: str | None, wait_max_s: int = 600) -> None:
        parts = urlsplit(base_url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            raise Problem(
                Code.INVALID_VALUE, f"{base_url!r} is not an address of a booth.", param="base-url"
            )
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._prefix = parts.path.rstrip("/").removesuffix("/v1")
        self._key_secret = key_secret
        self._wait_max_s = wait_max_s
        self.base_url = base_url

    def get(self, path: str) -> dict[str, Any]:
        """The JSON document at ``path``. Raises the booth's own Problem."""
        connection = self._connection()
        try:
            return _document(self._ask(connection, "GET", path, None))
        finally:
            connection.close()

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """The JSON document that answers ``body``. Raises the booth's own Problem."""
        connection = self._connection()
        try:
            return _document(self._ask(connection, "POST", path, body))
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether ``/readyz`` answers 200 now."""
        try:
            self.get("/readyz")
        except Problem:
            return False
        return True

    def stream(self, path: str, body: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """Each event of a streamed answer as it comes. Raises the booth's own Problem."""
        connection = self._connection()
        try:
            response = self._ask(connection, "POST", path, body)
            if response.status != 200:
                _document(response)
            fold = EventFold()
            while piece := response.read1(PIECE_BYTES):
                for event in fold.feed(piece):
                    if event == DONE:
                        return
                    yield _event(event)
            raise _broken("the stream ended without its last event")
        except (OSError, HTTPException) as error:
            raise _broken(str(error) or type(error).__name__) from error
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(self._host, self._port, timeout=self._wait_max_s)

    def _ask(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
    ) -> HTTPResponse:
        headers = {"content-type": "application/json"}
        if self._key_secret is not None:
            headers["authorization"] = f"Bearer {self._key_secret}"
        raw = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, self._prefix + path, raw, headers)
            return connection.getresponse()
        except (OSError, HTTPException, UnicodeError) as error:
            raise Problem(
                Code.STATE_CONFLICT,
                f"No booth answers at {self.base_url}: start one with `tokenbooth up`.",
            ) from error


def _document(response: HTTPResponse) -> dict[str, Any]:
    try:
        raw = response.read(ANSWER_BYTES_MAX)
    except (OSError, HTTPException) as error:
        raise _broken(str(error)) from error
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise _broken(f"status {response.status} without JSON") from error
    if not isinstance(found, dict):
        raise _broken(f"status {response.status} without a JSON object")
    if response.status != 200:
        raise _refusal(found, response.status)
    return found


def _event(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _broken("an event is not JSON") from error
    if not isinstance(found, dict):
        raise _broken("an event is not a JSON object")
    if "error" in found:
        raise _refusal(found, 200)
    return found


def _refusal(document: Mapping[str, Any], status: int) -> Problem:
    error = document.get("error")
    if not isinstance(error, dict):
        return _broken(f"status {status}")
    code = CODES.get(str(error.get("code")), Code.INTERNAL)
    return Problem(code, str(error.get("message", "")), param=error.get("param"))


def _broken(why: str) -> Problem:
    return Problem(Code.ENGINE_FAILED, f"The booth's answer broke: {why}.")
