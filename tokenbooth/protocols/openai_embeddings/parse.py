"""An Embeddings body to a Turn that wants a vector for each of its texts."""

from tokenbooth.core.turn import EmbeddingAsk, Message, Role, TextPart, Turn
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_embeddings.parameters import BASE64, BODY
from tokenbooth.protocols.shape import Strangers
from tokenbooth.protocols.strict_json import read_object


def parse(raw: bytes) -> Parsed:
    """Raises Problem MALFORMED_JSON, MISSING_FIELD, WRONG_TYPE, INVALID_VALUE or
    UNSUPPORTED_FEATURE, naming ``param``."""
    strangers = Strangers()
    fields = BODY.read(read_object(raw), "", strangers)
    texts = fields["input"]
    turn = Turn(
        model=fields["model"],
        messages=tuple(Message(Role.USER, (TextPart(text),)) for text in texts),
        raw=True,
        embedding=EmbeddingAsk(fields.get("dimensions")),
        # No text is written, so that none is held for either.
        output_tokens_max=0,
        choices=len(texts),
        end_customer=fields.get("user"),
    )
    echo = {BASE64: True} if fields.get("encoding_format") == BASE64 else {}
    notes = Notes().finished(strangers)
    return Parsed(turn, stream=False, include_usage=False, notes=notes, echo=echo)
