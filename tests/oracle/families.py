"""The families of dialects, and where each of them is served."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

MODEL = "smollm2-135m"
LIMIT_TOKENS = 12
Fields = Mapping[str, Any]
NOTHING: Fields = {}


class Family(StrEnum):
    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"
    COMPLETIONS = "completions"


PATHS = {
    Family.CHAT: "/v1/chat/completions",
    Family.RESPONSES: "/v1/responses",
    Family.MESSAGES: "/v1/messages",
    Family.COMPLETIONS: "/v1/completions",
}
# Both count for free what a call would cost.
COUNTING = {
    Family.RESPONSES: "/v1/responses/input_tokens",
    Family.MESSAGES: "/v1/messages/count_tokens",
}
LIMIT_NAME = {
    Family.CHAT: "max_tokens",
    Family.RESPONSES: "max_output_tokens",
    Family.MESSAGES: "max_tokens",
    Family.COMPLETIONS: "max_tokens",
}


class Mode(StrEnum):
    WHOLE = "whole"
    STREAMED = "streamed"
    COUNTED = "counted"
