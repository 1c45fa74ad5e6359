"""What clients see when the money is gone: the official package, and the account's endpoints."""

import openai
import pytest

from tests.outside.api.conftest import Running
from tests.support.instances import INPUT_PICO, OUTPUT_PICO, in_booth, new_account
from tokenbooth.control import accounts
from tokenbooth.core.receipt import LimitScope

HELLO = [{"role": "user", "content": "hello there"}]
INPUT_TOKENS = 9
LEAST_NANO = (INPUT_TOKENS * INPUT_PICO + OUTPUT_PICO) // 1000


class Counted:
    """The official client, counting what it really sends."""

    def __init__(self, running: Running, secret: str) -> None:
        self.sent = 0
        self.client = openai.OpenAI(
            api_key=secret,
            base_url=running.base_url,
            max_retries=2,
            http_client=openai.DefaultHttpxClient(event_hooks={"request": [self._count]}),
        )

    def _count(self, _request: object) -> None:
        self.sent += 1

    def refused(self, **fields: object) -> openai.RateLimitError:
        with self.client, pytest.raises(openai.RateLimitError) as caught:
            self.client.chat.completions.create(model="demo", messages=HELLO, **fields)
        return caught.value


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_balance_is_a_rate_limit_error_that_is_never_retried(running, stream):
    secret = new_account(running.instance, f"poor-{stream}", credit_nano=LEAST_NANO - 1)
    counted = Counted(running, secret)
    error = counted.refused(stream=stream)
    assert counted.sent == 1
    assert error.status_code == 429
    assert (error.code, error.type) == ("insufficient_quota", "insufficient_quota")
    assert error.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in error.response.headers
    assert error.body["limit_source"] == "balance"
    assert error.body["reason"] == "limit_used_up"
    assert error.body["limit_nano"] == LEAST_NANO - 1
    assert error.body["needed_nano"] == LEAST_NANO
    assert error.body["needed"] == "0.000013000"
    assert (error.body["spent"], error.body["held"]) == ("0.000000000", "0.000000000")
    assert error.body["affordable_output_tokens"] == 0
    assert error.body["remedy"].startswith("Add at least 0.000000001 of credit")


@pytest.mark.parametrize("scope", [LimitScope.ORGANIZATION, LimitScope.PROJECT, LimitScope.KEY])
def test_the_cap_that_refuses_is_named_and_never_retried(running, scope):
    name = f"capped-{scope.value}"
    key = {"cap_nano": 0} if scope is LimitScope.KEY else {}
    secret = new_account(running.instance, name, **key)

    def cap(booth, op, tx):
        if scope is LimitScope.ORGANIZATION:
            accounts.cap_organization(op, tx, name, 0)
        if scope is LimitScope.PROJECT:
            accounts.cap_project(op, tx, name, "default", 0)

    in_booth(running.instance, cap)
    counted = Counted(running, secret)
    error = counted.refused()
    assert counted.sent == 1
    assert (error.code, error.type) == ("spend_limit_reached", "insufficient_quota")
    assert error.body["limit_source"] == scope.value
    assert error.body["remedy"].startswith(f"Raise the {scope.value}'s cap by at least")
