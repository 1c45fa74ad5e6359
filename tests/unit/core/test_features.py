from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.features import Feature, asked_features, media_param
from tokenbooth.core.turn import (
    AudioPart,
    DocumentPart,
    EmbeddingAsk,
    FormatKind,
    ImagePart,
    LogprobsAsk,
    Message,
    OutputFormat,
    Part,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    Turn,
    VideoPart,
)

PLAIN = Turn(model="m", messages=(Message(Role.USER, (TextPart("hello"),)),))
CALLING = Message(Role.ASSISTANT, (), tool_calls=(ToolCall("1", "f", "{}"),))
SEEING = Message(Role.USER, (TextPart("look"), ImagePart("https://x/y.png")))


def of_parts(*parts: Part) -> Message:
    return Message(Role.USER, parts)


ASKS: list[tuple[Turn, set[Feature]]] = [
    (PLAIN, set()),
    (replace(PLAIN, tools=(Tool("f", "", "{}"),)), {Feature.TOOLS}),
    (replace(PLAIN, messages=(*PLAIN.messages, CALLING)), {Feature.TOOLS}),
    (
        replace(PLAIN, output_format=OutputFormat(FormatKind.JSON_OBJECT)),
        {Feature.JSON_OBJECT},
    ),
    (
        replace(PLAIN, output_format=OutputFormat(FormatKind.JSON_SCHEMA, "n", "{}")),
        {Feature.JSON_SCHEMA},
    ),
    (replace(PLAIN, logprobs=LogprobsAsk()), {Feature.LOGPROBS}),
    (replace(PLAIN, logprobs=LogprobsAsk(top=2)), {Feature.LOGPROBS, Feature.TOP_LOGPROBS}),
    (replace(PLAIN, messages=(SEEING,)), {Feature.IMAGES}),
    (replace(PLAIN, messages=(of_parts(VideoPart("https://x/y.mp4")),)), {Feature.IMAGES}),
    (replace(PLAIN, messages=(of_parts(AudioPart("https://x/y.wav")),)), {Feature.AUDIO}),
    (replace(PLAIN, messages=(of_parts(DocumentPart("https://x/y.pdf")),)), set()),
    (replace(PLAIN, sampling=Sampling(stop=("a",))), {Feature.STOP}),
    (replace(PLAIN, sampling=Sampling(seed=0)), {Feature.SEED}),
    (replace(PLAIN, choices=2), {Feature.CHOICES}),
    (replace(PLAIN, sampling=Sampling(presence_penalty=0.1)), {Feature.PENALTIES}),
    (replace(PLAIN, sampling=Sampling(frequency_penalty=-0.1)), {Feature.PENALTIES}),
    (replace(PLAIN, sampling=Sampling(logit_bias=((1, 2.0),))), {Feature.LOGIT_BIAS}),
    (replace(PLAIN, reasoning_effort="low"), {Feature.REASONING_EFFORT}),
    (replace(PLAIN, reasoning_effort="low", effort_optional=True), set()),
    (replace(PLAIN, raw=True), {Feature.RAW_PROMPT}),
    (replace(PLAIN, raw=True, embedding=EmbeddingAsk()), {Feature.EMBEDDINGS}),
    (replace(PLAIN, raw=True, suffix=""), {Feature.RAW_PROMPT, Feature.SUFFIX}),
    (replace(PLAIN, raw=True, messages=PLAIN.messages * 2, choices=2), {Feature.RAW_PROMPT}),
    (replace(PLAIN, raw=True, choices=2), {Feature.RAW_PROMPT, Feature.CHOICES}),
]


@pytest.mark.parametrize(("turn", "features"), ASKS)
def test_a_turn_asks_for_exactly_what_it_uses(turn: Turn, features: set[Feature]) -> None:
    assert set(asked_features(turn)) == features


def test_every_feature_that_a_turn_can_ask_for_is_asked_for_above() -> None:
    never_asked = {Feature.CACHED_TOKENS}
    assert set().union(*(features for _, features in ASKS)) == set(Feature) - never_asked


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0.0, top_p=0.5),
        Sampling(presence_penalty=0.0, frequency_penalty=0.0),
        Sampling(stop=(), logit_bias=()),
    ],
)
def test_what_changes_nothing_asks_for_nothing(sampling: Sampling) -> None:
    assert list(asked_features(replace(PLAIN, sampling=sampling))) == []


@given(st.lists(st.text()))
def test_the_text_of_a_message_is_its_text_parts_in_order(texts: list[str]) -> None:
    parts = tuple(part for text in texts for part in (TextPart(text), ImagePart("https://x/")))
    assert Message(Role.USER, parts).text == "".join(texts)


def test_the_first_part_that_needs_a_feature_is_named() -> None:
    parts = (DocumentPart("x:", "a"), AudioPart("x:", "b"), VideoPart("x:", "c"))
    turn = replace(PLAIN, messages=(PLAIN.messages[0], of_parts(*parts, ImagePart("x:", "d"))))
    assert media_param(turn, Feature.AUDIO) == "b"
    assert media_param(turn, Feature.IMAGES) == "c"
    assert media_param(turn, Feature.TOOLS) is None
    assert media_param(PLAIN, Feature.IMAGES) is None
