"""A text completions body to a Turn whose messages are raw prompts."""

from tokenbooth.core.turn import LogprobsAsk, Message, Role, Sampling, TextPart, Turn
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_completions.parameters import BODY, OUTPUT_TOKENS_DEFAULT
from tokenbooth.protocols.shape import Json, Strangers, unsupported
from tokenbooth.protocols.strict_json import read_object


def parse(raw: bytes) -> Parsed:
    """Raises Problem MALFORMED_JSON, MISSING_FIELD, WRONG_TYPE, INVALID_VALUE or
    UNSUPPORTED_FEATURE, naming ``param``."""
    strangers = Strangers()
    fields = BODY.read(read_object(raw), "", strangers)
    notes = Notes()
    each = fields.get("n", 1)
    if fields.get("best_of", each) != each:
        unsupported("best_of", "no completion is made that is not returned, so it must be n")
    echo = fields.get("echo", False)
    if echo and "logprobs" in fields:
        unsupported("echo", "the log probabilities of a prompt are not told, so not with logprobs")
    prompts = fields["prompt"]
    stop = fields.get("stop", ())
    turn = Turn(
        model=fields["model"],
        messages=tuple(Message(Role.USER, (TextPart(text),)) for text in prompts),
        raw=True,
        suffix=fields.get("suffix") or None,
        output_tokens_max=fields.get("max_tokens", OUTPUT_TOKENS_DEFAULT),
        sampling=Sampling(
            temperature=fields.get("temperature"),
            top_p=fields.get("top_p"),
            presence_penalty=fields.get("presence_penalty"),
            frequency_penalty=fields.get("frequency_penalty"),
            seed=fields.get("seed"),
            stop=(stop,) if isinstance(stop, str) else stop,
            logit_bias=tuple((int(name), value) for name, value in fields.get("logit_bias", ())),
        ),
        choices=each * len(prompts),
        logprobs=LogprobsAsk(fields["logprobs"]) if "logprobs" in fields else None,
        end_customer=fields.get("user"),
    )
    stream = fields.get("stream", False)
    include_usage = _include_usage(fields, notes) and stream
    echoed = {"echo": True} if echo else {}
    return Parsed(turn, stream, include_usage, notes.finished(strangers), echo=echoed)


def _include_usage(fields: Json, notes: Notes) -> bool:
    options = fields.get("stream_options", {})
    if options.get("include_obfuscation"):
        notes.add("stream_options.include_obfuscation", "ignored: nothing is obfuscated")
    if "include_usage" in options and not fields.get("stream"):
        notes.add("stream_options", "ignored: the call is not streamed")
    return bool(options.get("include_usage"))
