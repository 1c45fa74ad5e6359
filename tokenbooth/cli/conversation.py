"""A conversation over HTTP: what was said, and what it cost so far."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenbooth.cli.client import BoothClient
from tokenbooth.core.money import format_nano

TURNS_KEPT = 40
OUTPUT_TOKENS_MAX = 512


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer; ``cost_nano`` is exact."""

    text: str
    usage: dict[str, Any]
    cost_nano: int
    currency: str

    @property
    def cost(self) -> str:
        return format_nano(self.cost_nano)

    @property
    def document(self) -> dict[str, object]:
        return {"answer": self.text, "usage": self.usage, "cost": self.cost}


class Conversation:
    """``show`` gets each piece of text as it comes. The last 40 messages are sent along."""

    def __init__(
        self,
        client: BoothClient,
        model: str,
        show: Callable[[str], None],
        *,
        output_tokens_max: int = OUTPUT_TOKENS_MAX,
    ) -> None:
        self._client = client
        self._model = model
        self._show = show
        self._output_tokens_max = output_tokens_max
        self._messages: list[dict[str, str]] = []
        self._total_nano = 0

    @property
    def total(self) -> str:
        return format_nano(self._total_nano)

    def ask(self, text: str) -> Answered:
        """Say something; a refused turn is not remembered. Raises the booth's Problem."""
        messages = [*self._messages, {"role": "user", "content": text}]
        body = {
            "model": self._model,
            "messages": messages,
            "max_completion_tokens": self._output_tokens_max,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        pieces: list[str] = []
        usage: dict[str, Any] = {}
        for event in self._client.stream("/v1/chat/completions", body):
            usage = event.get("usage") or usage
            for choice in event.get("choices", ()):
                piece = choice.get("delta", {}).get("content") or ""
                pieces.append(piece)
                self._show(piece)
        answer = "".join(pieces)
        cost: dict[str, Any] = usage.get("cost", {})
        cost_nano = int(cost.get("amount_nano", 0))
        self._messages = [*messages, {"role": "assistant", "content": answer}][-TURNS_KEPT:]
        self._total_nano += cost_nano
        return Answered(answer, usage, cost_nano, str(cost.get("currency", "")))
