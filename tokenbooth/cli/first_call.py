"""The first paid call, made with the official OpenAI package, and checked to the nano."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenbooth.cli.client import BoothClient
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

QUESTION = "Give me three facts about the Moon."
OUTPUT_TOKENS_MAX = 64
CALL_WAIT_S = 180


@dataclass(frozen=True, slots=True)
class FirstCall:
    """``first_output_ms`` is from the call to its first text, as the client saw it."""

    answer: str
    usage: dict[str, Any]
    cost_nano: int
    before_nano: int
    after_nano: int
    first_output_ms: int
    duration_ms: int
    request_id: str


def make_first_call(
    client: BoothClient, key_secret: str, model: str, show: Callable[[str], None]
) -> FirstCall:
    """Stream one answer and compare its cost with what left the balance.

    Raises INTERNAL when the two differ by one nano, or the booth's own Problem.
    """
    import openai

    before_nano = balance_nano(client)
    started = time.monotonic()
    first_output = None
    pieces: list[str] = []
    usage: dict[str, Any] = {}
    request_id = ""
    with openai.OpenAI(
        base_url=f"{client.base_url}/v1", api_key=key_secret, max_retries=0, timeout=CALL_WAIT_S
    ) as official:
        try:
            stream = official.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": QUESTION}],
                max_completion_tokens=OUTPUT_TOKENS_MAX,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
            request_id = stream.response.headers.get("x-request-id", "")
            for chunk in stream:
                if chunk.usage is not None:
                    usage = chunk.usage.model_dump()
                for choice in chunk.choices:
                    piece = choice.delta.content or ""
                    if piece and first_output is None:
                        first_output = time.monotonic()
                    pieces.append(piece)
                    show(piece)
        except openai.OpenAIError as error:
            raise Problem(Code.ENGINE_FAILED, f"The first call failed: {error}.") from error
    ended = time.monotonic()
    after_nano = balance_nano(client)
    call = FirstCall(
        answer="".join(pieces),
        usage=usage,
        cost_nano=int(usage["cost"]["amount_nano"]),
        before_nano=before_nano,
        after_nano=after_nano,
        first_output_ms=round(1000 * ((first_output or ended) - started)),
        duration_ms=round(1000 * (ended - started)),
        request_id=request_id,
    )
    check_books(call)
    return call


def check_books(call: FirstCall) -> None:
    """The money that left the balance is the stated cost, exactly."""
    left_nano = call.before_nano - call.after_nano
    if left_nano != call.cost_nano:
        raise Problem(
            Code.INTERNAL,
            f"The answer says {call.cost_nano} nano, the balance fell by {left_nano}.",
        )


def balance_nano(client: BoothClient) -> int:
    """What the organization has left, holds of running calls taken off."""
    for limit in client.get("/v1/balance")["limits"]:
        if limit["scope"] == "balance":
            return int(limit["remaining"]["amount_nano"])
    raise Problem(Code.INTERNAL, "The booth told no balance.")
