"""One turn through the API that a client speaks, and what it cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tokenbooth.cli.client import BoothClient
from tokenbooth.cli.recipes import OUTPUT_TOKENS_MAX, QUESTION, Api
from tokenbooth.core.money import format_nano

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FirstTurn:
    """``cost_nano`` is exact."""

    answer: str
    input_tokens: int
    output_tokens: int
    cost_nano: int
    currency: str

    @property
    def document(self) -> dict[str, object]:
        return {
            "answer": self.answer,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": format_nano(self.cost_nano),
            "currency": self.currency,
        }


def make_first_turn(client: BoothClient, api: Api, model: str) -> FirstTurn:
    """Ask one short question and wait for the whole answer. Raises the booth's own Problem."""
    said = [{"role": "user", "content": QUESTION}]
    body: dict[str, object]
    match api:
        case Api.CHAT:
            body = {"messages": said, "max_completion_tokens": OUTPUT_TOKENS_MAX}
        case Api.RESPONSES:
            body = {"input": said, "max_output_tokens": OUTPUT_TOKENS_MAX, "store": False}
        case Api.MESSAGES:
            body = {"messages": said, "max_tokens": OUTPUT_TOKENS_MAX}
    answer = client.post(api.value, {"model": model, **body})
    usage = answer["usage"]
    chat = api is Api.CHAT
    return FirstTurn(
        answer="".join(_texts(answer)),
        input_tokens=usage["prompt_tokens" if chat else "input_tokens"],
        output_tokens=usage["completion_tokens" if chat else "output_tokens"],
        cost_nano=int(usage["cost"]["amount_nano"]),
        currency=usage["cost"]["currency"],
    )


def _texts(answer: Json) -> Iterator[str]:
    """The text of an answer, whichever of the three APIs gave it."""
    for choice in answer.get("choices", ()):
        yield choice["message"]["content"] or ""
    items = answer.get("output", ())
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    for part in (*parts, *answer.get("content", ())):
        yield part.get("text", "")
