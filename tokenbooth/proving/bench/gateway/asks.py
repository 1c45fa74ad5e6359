"""The bytes of each call that is measured: about 1 KB, four messages. Pure."""

import json

from tokenbooth.proving.bench.gateway.plan import Load, Side, mock_path
from tokenbooth.proving.bench.load import kept_bytes
from tokenbooth.proving.client import Address, Ask, bearer

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
OUTPUT_TOKENS_MAX = 256
SYSTEM = (
    "You are a careful assistant of a weather service. You answer in at most four sentences, you "
    "name the source of every figure, and you say so when you do not know something. Temperatures "
    "are in degrees Celsius, distances in kilometres, and times in the zone of whoever asks. Where "
    "a warning of storms or floods is in force, you begin with it."
)
ASKED = "Is it going to rain at the coast this weekend, and should we rather go on Sunday?"
ANSWERED = (
    "Showers are likely on Saturday afternoon, with about six millimetres between two and five "
    "o'clock. Sunday stays dry until the evening, with a light wind from the west."
)
ASKED_THEN = (
    "Thank you. Then explain to my daughter, who is nine, how a rainbow comes about, and where she "
    "has to stand to see one on Saturday. Please do not use any word that she would have to look "
    "up, and finish with one thing that she can try at home with a glass of water."
)
SAID = (("user", ASKED), ("assistant", ANSWERED), ("user", ASKED_THEN))
DONE, STOPPED, CLOSED = "[DONE]", "message_stop", "}"


def body(model: str, *, stream: bool, translated: bool) -> bytes:
    """The same conversation in either dialect."""
    turns = [{"role": role, "content": text} for role, text in SAID]
    fields: dict[str, object] = {"model": model, "max_tokens": OUTPUT_TOKENS_MAX}
    if translated:
        fields |= {"system": SYSTEM, "messages": turns}
    else:
        fields |= {"messages": [{"role": "system", "content": SYSTEM}, *turns]}
    if stream:
        fields["stream"] = True
    if stream and not translated:
        fields["stream_options"] = {"include_usage": True}
    return json.dumps(fields, separators=(",", ":")).encode()


def call(address: Address, ask_body: bytes, path: str, secret: str) -> bytes:
    """One call on a connection that stays, as a client of either API sends it."""
    headers = (
        ("content-type", "application/json"),
        ("accept", "*/*"),
        ("user-agent", "tokenbooth-bench"),
        *bearer(secret),
    )
    return kept_bytes(Ask("POST", path, headers, ask_body), address)


def end_of(load: Load) -> str:
    """What stands among the last bytes of a good answer."""
    if load.translated:
        return STOPPED
    return DONE if load.stream else CLOSED


def path_of(side: Side, load: Load, pace: tuple[int, int]) -> str:
    """Behind nginx the caller itself tells the mock its pace."""
    if side is Side.NGINX:
        return mock_path(*pace) + CHAT
    return MESSAGES if load.translated else CHAT
