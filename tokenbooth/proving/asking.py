"""The bytes of each planned call. Pure."""

from dataclasses import replace

from tokenbooth.proving.client import Ask, bearer, json_ask
from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import Stage

CHAT = "/v1/chat/completions"
STRICT = ("x-tokenbooth-strict", "1")
JSON_TYPE = ("content-type", "application/json")
# Well-formed and with a right checksum, yet given to nobody.
STRANGER = "tb_live_" + "0" * 40 + "1iSwxZ"
MISTYPED = STRANGER[:-1] + "Y"
WRONG_KEY_WAYS = 5


def ask_of(plan: CallPlan, stage: Stage) -> Ask:
    """What to send for ``plan``."""
    secret = stage.keys[plan.key].secret
    model = stage.model(plan.model).name
    if plan.kind is CallKind.MALFORMED:
        bad = MALFORMED[plan.way]
        headers = (JSON_TYPE, *bearer(secret))
        return Ask("POST", CHAT, headers, bad.body(model, plan.mark), bad.announced_bytes)
    if plan.kind is CallKind.UNKNOWN_MODEL:
        model = f"no-such-model-{plan.number}"
    fields: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": plan.prompt}],
        "user": plan.mark,
    }
    if plan.stream:
        fields["stream"] = True
    if plan.include_usage:
        fields["stream_options"] = {"include_usage": True}
    if plan.output_tokens_max is not None:
        fields["max_completion_tokens"] = plan.output_tokens_max
    ask = json_ask(CHAT, secret, fields)
    if plan.strict:
        return replace(ask, headers=(*ask.headers, STRICT))
    if plan.kind is CallKind.WRONG_KEY:
        return Ask(ask.method, ask.path, (JSON_TYPE, *_wrong(plan.way, secret)), ask.body)
    return ask


def _wrong(way: int, secret: str) -> tuple[tuple[str, str], ...]:
    """The headers of each way to send a wrong key, the ambiguous one last."""
    ways = (
        (),
        bearer("not-a-key"),
        bearer(MISTYPED),
        bearer(STRANGER),
        (*bearer(secret), ("x-api-key", STRANGER)),
    )
    return ways[way]
