"""The first paid call, against a stand-in for the official package."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tokenbooth.cli.first_call import OUTPUT_TOKENS_MAX, make_first_call
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem


class Balance:
    """A booth's client whose balance falls by ``falls`` between two looks."""

    def __init__(self, falls: int) -> None:
        self.base_url = "http://h:1"
        self._left = [100 - falls, 100]

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/v1/balance"
        return {"limits": [{"scope": "balance", "remaining": {"amount_nano": self._left.pop()}}]}


class Stream:
    """The chunks of one answer, the last with its usage."""

    def __init__(self, texts: list[str | None], cost_nano: int) -> None:
        self.response = SimpleNamespace(headers={"x-request-id": "req_7"})
        self._texts, self._cost_nano = texts, cost_nano

    def __iter__(self) -> Iterator[Any]:
        for text in self._texts:
            choice = SimpleNamespace(delta=SimpleNamespace(content=text))
            yield SimpleNamespace(usage=None, choices=[choice])
        usage = {"prompt_tokens": 4, "cost": {"amount_nano": self._cost_nano}}
        yield SimpleNamespace(usage=SimpleNamespace(model_dump=lambda: usage), choices=[])


class Official:
    """Stands for ``openai.OpenAI``."""

    def __init__(self, stream: Stream | Exception) -> None:
        self.asked: dict[str, Any] = {}
        self.opened: dict[str, Any] = {}
        self._stream = stream
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))

    def __call__(self, **options: Any) -> "Official":
        self.opened = options
        return self

    def __enter__(self) -> "Official":
        return self

    def __exit__(self, *error: object) -> None:
        self.opened["closed"] = True

    def _create(self, **asked: Any) -> Stream:
        self.asked = asked
        if isinstance(self._stream, Exception):
            raise self._stream
        return self._stream


class FakeError(Exception):
    """Stands for ``openai.OpenAIError``."""


def install(monkeypatch: pytest.MonkeyPatch, stream: Stream | Exception) -> Official:
    official = Official(stream)
    module = ModuleType("openai")
    module.OpenAI = official  # type: ignore[attr-defined]
    module.OpenAIError = FakeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "openai", module)
    return official


def call(falls: int, shown: list[str]) -> Any:
    client: Any = Balance(falls)
    return make_first_call(client, "tb_live_k", "m", shown.append)


def test_the_answer_is_streamed_and_its_cost_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    official = install(monkeypatch, Stream([None, "Hello ", "", "there"], 30))
    shown: list[str] = []
    found = call(30, shown)
    assert (found.answer, found.cost_nano, found.request_id) == ("Hello there", 30, "req_7")
    assert (found.before_nano, found.after_nano) == (100, 70)
    assert "".join(shown) == "Hello there"
    assert official.opened["base_url"] == "http://h:1/v1"
    assert official.opened["max_retries"] == 0
    assert official.opened["closed"]
    assert official.asked["max_completion_tokens"] == OUTPUT_TOKENS_MAX
    assert official.asked["stream_options"] == {"include_usage": True}


def test_a_silent_answer_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Stream([], 0))
    found = call(0, [])
    assert found.answer == ""
    assert found.first_output_ms == found.duration_ms


@pytest.mark.parametrize("falls", [29, 31, 0])
def test_a_balance_that_falls_by_something_else_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, falls: int
) -> None:
    install(monkeypatch, Stream(["x"], 30))
    with pytest.raises(Problem) as caught:
        call(falls, [])
    assert caught.value.code is Code.INTERNAL


def test_a_refused_call_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    official = install(monkeypatch, FakeError("no such model"))
    with pytest.raises(Problem) as caught:
        call(0, [])
    assert "no such model" in caught.value.public
    assert official.opened["closed"]
