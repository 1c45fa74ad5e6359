"""A server's start, timed to its first good answer."""

import time
from http.client import HTTPConnection, HTTPException
from typing import Protocol

from tokenbooth.proving.bench.gateway.asks import CHAT
from tokenbooth.proving.bench.gateway.plan import NS_PER_MS
from tokenbooth.proving.client import Address
from tokenbooth.proving.instance import InstanceFault

START_WAIT_S = 60
POLL_S = 0.002
ANSWER_WAIT_S = 5


class Started(Protocol):
    """What was started just now."""

    @property
    def running(self) -> bool: ...

    def log_tail(self) -> str: ...


def first_answer(
    started: Started, address: Address, ask_body: bytes, secret: str, within_s: int = START_WAIT_S
) -> int:
    """Milliseconds until a call was answered with 200. Raises InstanceFault."""
    begun_ns = time.monotonic_ns()
    while started.running and time.monotonic_ns() - begun_ns < within_s * 1000 * NS_PER_MS:
        if _answers(address, ask_body, secret):
            return (time.monotonic_ns() - begun_ns) // NS_PER_MS
        time.sleep(POLL_S)
    raise InstanceFault(f"No call was answered at {address.base_url}.\n{started.log_tail()}")


def _answers(address: Address, ask_body: bytes, secret: str) -> bool:
    connection = HTTPConnection(address.host, address.port, timeout=ANSWER_WAIT_S)
    try:
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        connection.request("POST", CHAT, ask_body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
