"""A quote over HTTP: exact, free, and bounded like a call."""

import asyncio

from tests.support.attack import account, body, chat, spent_nano
from tests.support.instances import INPUT_PICO, OUTPUT_PICO, Script, add_scripts
from tokenbooth.proving.client import call, json_ask
from tokenbooth.proving.instance import PrivateInstance


def quote(address, ask):
    return asyncio.run(call(address, ask))


def test_quotes_are_free_over_http(tmp_path):
    with PrivateInstance(tmp_path / "home") as instance:
        add_scripts(instance, Script("demo", {"chunks": "8"}))
        secret = account(instance, "acme")
        address = instance.start()
        fields = body("demo", max_tokens=8)
        answer = quote(address, json_ask("/v1/quote", secret, fields))
        assert answer.status == 200
        found = answer.document()
        worst = (found["input_tokens"] * INPUT_PICO + 8 * OUTPUT_PICO) // 1000
        assert found["worst_case"]["amount_nano"] == worst
        assert spent_nano(address, secret) == 0
        paid = chat(address, secret, fields)
        cost = paid.document()["usage"]["cost"]["amount_nano"]
        assert cost == worst
        refused = quote(address, json_ask("/v1/quote?dialect=klingon", secret, fields))
        assert (refused.status, refused.document()["error"]["param"]) == (400, "dialect")
        large = quote(address, json_ask("/v1/quote", secret, body("demo", user="x" * 5_000_000)))
        assert large.status == 413
        assert instance.stop() == 0, instance.log_tail()
