"""Media through all ten steps: what engines get, what it costs, and refusals that cost nothing."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.support.booth import (
    SEALING_KEY,
    MemoryBody,
    Noise,
    TestBooth,
    chat,
    open_test_booth,
)
from tests.support.media import TableFetcher, inline, mp3, png, png_head, wav
from tests.unit.gateway.test_call_prices import PLAIN, nothing_happened, set_price, tariff
from tokenbooth.content.files import service as files
from tokenbooth.core.caller import Caller, CallLimits
from tokenbooth.core.delta import Usage
from tokenbooth.core.features import Feature
from tokenbooth.core.ports import CallHead
from tokenbooth.core.turn import AudioPart, ImagePart, Part, TextPart, Turn
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.count import count
from tokenbooth.gateway.media import with_uses
from tokenbooth.gateway.quote import quote
from tokenbooth.money.prices.service import Uses
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.safety.screening.service import Policy
from tokenbooth.store.tables.access import PROJECT

Json = dict[str, Any]
MEDIA = frozenset({Feature.IMAGES, Feature.AUDIO})
WEB = "https://x.example/y"
PNG = png(7, 5)
SHOWN = ImagePart(inline("image/png", PNG), width=7, height=5)


class Seeing(ScriptedEngine):
    """The scripted engine with senses; ``turns`` are what it was started with."""

    def __init__(self, features: frozenset[Feature] = MEDIA, **script: Any) -> None:
        super().__init__(ScriptOptions(**script))
        had = self._capabilities.features - MEDIA
        self._capabilities = replace(self._capabilities, features=had | features)
        self.turns: list[Turn] = []

    def start(self, turn: Turn, sink: Any) -> Any:
        self.turns.append(turn)
        return super().start(turn, sink)

    @property
    def parts(self) -> tuple[Part, ...]:
        (turn,) = self.turns
        return turn.messages[-1].parts


def of_user(*parts: Json) -> Json:
    return {**chat(), "messages": [{"role": "user", "content": list(parts)}]}


def image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def document(raw: bytes) -> Json:
    return {"type": "file", "file": {"file_data": inline("application/pdf", raw)}}


def sound(raw: bytes) -> Json:
    data = inline("", raw).partition(",")[2]
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


Scene = Callable[[TestBooth, Seeing], Coroutine[Any, Any, None]]


def in_booth(
    directory: Path,
    scene: Scene,
    engine: Seeing | None = None,
    media: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    engine = engine or Seeing()

    def opened() -> AbstractAsyncContextManager[TestBooth]:
        return open_test_booth(directory, engines={"0": engine}, media=media, **options)

    async def bounded() -> None:
        async with asyncio.timeout(30), opened() as booth:
            await scene(booth, engine)
            assert booth.rooms.media.held_bytes == 0
            await booth.verified()

    asyncio.run(bounded())


def asked_urls(booth: TestBooth) -> list[str]:
    fetcher = booth.rooms.media._fetcher
    assert isinstance(fetcher, TableFetcher)
    return fetcher.asked


async def refused(booth: TestBooth, body: Json, code: str, param: str | None) -> Json:
    """The call is refused by that code at that place, and costs nothing."""
    sink = await booth.ask(body)
    assert sink.status is not None
    assert 400 <= sink.status < 500 or code == "engine_overloaded"
    error: Json = sink.document["error"]
    assert (error["code"], error["param"]) == (code, param), error
    await nothing_happened(booth)
    return error


URL = "messages[0].content[0].image_url.url"


def test_an_engine_gets_the_bytes_however_they_were_named(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        body = of_user({"type": "text", "text": "see"}, image(WEB), image(SHOWN.url), image(WEB))
        sink = await booth.ask(body)
        assert sink.status == 200, sink.body
        assert engine.parts == (TextPart("see"), SHOWN, SHOWN, SHOWN)
        assert asked_urls(booth) == [WEB]
        assert sink.document["usage"]["uses"] == {"image": 3}

    in_booth(tmp_path, scene, media={"pages": {WEB: PNG}})


def test_the_type_in_a_data_url_counts_for_nothing(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        sink = await booth.ask(of_user(image(inline("image/jpeg", PNG).rstrip("="))))
        assert sink.status == 200, sink.body
        assert engine.parts == (SHOWN,)

    in_booth(tmp_path, scene)


def stored(booth: TestBooth, caller: Caller, content: bytes, file_id: str) -> Any:
    ask = files.FileAsk(file_name="a.png", purpose=files.Purpose.VISION, content=content)
    file = files.new_file(booth.op, caller, ask, file_id)
    sealed = files.sealed_content(file, content, SEALING_KEY, Noise())
    return booth.store.write(lambda tx: files.add(booth.op, tx, file, sealed))


def test_an_uploaded_file_is_read_by_its_own_project_alone(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        caller = await booth.rooms.directory.caller(booth.op, booth.secret)
        await stored(booth, caller, PNG, "file_own")
        await booth.store.write(lambda tx: _another_project(tx))
        other = replace(caller, project_id="proj_other")
        await stored(booth, other, PNG, "file_other")
        for name, status in (("own", 200), ("other", 404), ("none", 404)):
            item = {"type": "input_image", "file_id": f"file_{name}"}
            said = [{"role": "user", "content": [item]}]
            body = {"model": "demo", "input": said, "store": False}
            sink = await booth.ask(body, dialect=OPENAI_RESPONSES)
            assert sink.status == status, sink.body
            if status == 404:
                assert sink.document["error"]["param"] == "input[0].content[0].file_id"
        assert engine.parts == (SHOWN,)

    in_booth(tmp_path, scene)


def _another_project(tx: Any) -> None:
    row = dict(tx.execute(select(PROJECT)).mappings().first())
    tx.execute(insert(PROJECT).values(**row | {"id": "proj_other", "name": "other"}))


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (image(WEB), "image_url.url"),
        ({"type": "video_url", "video_url": {"url": WEB}}, "video_url.url"),
        (sound(wav(1)), "input_audio.data"),
    ],
)
def test_a_model_without_the_sense_is_named_before_anything_is_fetched(
    tmp_path: Path, part: Json, param: str
) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        body = of_user({"type": "text", "text": "see"}, part)
        await refused(booth, body, "unsupported_feature", f"messages[0].content[1].{param}")
        assert asked_urls(booth) == []

    in_booth(tmp_path, scene, Seeing(frozenset()), media={"pages": {WEB: PNG}})


def test_the_other_dialects_name_the_place_as_well(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        block = {"type": "image", "source": {"type": "url", "url": WEB}}
        said = [{"role": "user", "content": [block]}]
        sink = await booth.ask(
            {"model": "demo", "max_tokens": 9, "messages": said}, dialect=ANTHROPIC_MESSAGES
        )
        assert (sink.status, sink.document["error"]["type"]) == (400, "invalid_request_error")
        assert "does not support images" in sink.document["error"]["message"]
        item = {"type": "input_image", "image_url": WEB}
        body = {"model": "demo", "input": [{"role": "user", "content": [item]}]}
        sink = await booth.ask(body, dialect=OPENAI_RESPONSES)
        assert sink.document["error"]["param"] == "input[0].content[0].image_url"
        assert asked_urls(booth) == []

    in_booth(tmp_path, scene, Seeing(frozenset()))


REFUSED: list[tuple[str, Json, Json, str]] = [
    ("cannot be fetched", image("https://nowhere.example/"), {}, "media_unreachable"),
    ("is no image", image(inline("image/png", b"text")), {}, "media_unreadable"),
    ("is no base64", image("data:image/png;base64,!"), {}, "media_unreadable"),
    ("is cut base64", image("data:image/png;base64,AAAAA"), {}, "media_unreadable"),
    ("is not said to be base64", image("data:image/png,AAAA"), {}, "media_unreadable"),
    ("has no size", image(inline("image/png", PNG[:20])), {}, "media_unreadable"),
    (
        "has too many pixels",
        image(inline("image/png", png_head(8, 5))),
        {"pixels_max": 39},
        "media_too_large",
    ),
    ("has too many bytes", image(SHOWN.url), {"part_bytes_max": 40}, "media_too_large"),
    ("fits no call", image(SHOWN.url), {"call_bytes_max": 40}, "media_too_large"),
    ("fits not into memory", image(SHOWN.url), {"bytes_max": 40}, "engine_overloaded"),
    ("is not fetched here", image(WEB), {"fetch_urls": False}, "unsupported_feature"),
    ("is one too many", image(SHOWN.url), {"parts_max": 0}, "invalid_value"),
]


@pytest.mark.parametrize(
    ("part", "media", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_an_image_that_cannot_be_had_costs_nothing(
    tmp_path: Path, part: Json, media: Json, code: str
) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        await refused(booth, of_user(part), code, URL)
        assert engine.turns == []

    in_booth(tmp_path, scene, media=media)


def test_the_bytes_of_all_parts_together_are_bounded(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        for other in (inline("image/png", png(7, 6)), SHOWN.url):
            sink = await booth.ask(of_user(image(SHOWN.url), image(other)))
            assert sink.document["error"]["code"] == "media_too_large"
            assert sink.document["error"]["param"] == URL.replace("content[0]", "content[1]")
        assert engine.turns == []

    in_booth(tmp_path, scene, media={"call_bytes_max": len(PNG) + 10})


def test_media_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        async def never(url: str, bytes_max: int) -> bytes:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

        booth.rooms.media._fetcher.fetch = never  # type: ignore[method-assign]
        error = await refused(booth, of_user(image(WEB)), "media_unreachable", URL)
        assert "within 0 s" in error["message"]

    in_booth(tmp_path, scene, media={"wait_max_s": 0})


def test_a_caller_over_its_rate_makes_the_server_fetch_nothing(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        assert (await booth.ask(chat())).status == 200
        sink = await booth.ask(of_user(image(WEB)))
        assert (sink.status, sink.document["error"]["code"]) == (429, "rate_limit_exceeded")
        assert asked_urls(booth) == []

    in_booth(
        tmp_path,
        scene,
        media={"pages": {WEB: PNG}},
        key={"limits": CallLimits(requests_per_minute=1)},
    )


def test_only_so_many_calls_are_read_at_once(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        place = await booth.rooms.media._turns.enter(0)
        error = await refused(booth, of_user(image(WEB)), "engine_overloaded", None)
        assert "Too many calls with media" in error["message"]
        place.leave()

    in_booth(tmp_path, scene, media={"wait_max_s": 0, "calls_max": 1})


@pytest.mark.parametrize(("raw", "seconds", "kind"), [(wav(11), 2, "wav"), (mp3(39), 2, "mpeg")])
def test_a_sound_is_charged_by_the_second(
    tmp_path: Path, raw: bytes, seconds: int, kind: str
) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        await set_price(booth, tariff(**PLAIN, audio_s=7_000_000))
        sink = await booth.ask(of_user(sound(raw)))
        assert sink.status == 200, sink.body
        assert engine.parts == (AudioPart(inline(f"audio/{kind}", raw), duration_s=seconds),)
        usage = sink.document["usage"]
        assert usage["uses"] == {"audio_s": seconds}
        tokens = usage["prompt_tokens"] * 1_000_000 + usage["completion_tokens"] * 4_000_000
        assert usage["cost"]["amount_nano"] == (tokens + seconds * 7_000_000) // 1000

    in_booth(tmp_path, scene)


def test_an_engine_that_fails_after_the_media_was_read_costs_nothing(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        await set_price(booth, tariff(**PLAIN, image=5_000_000))
        sink = await booth.ask(of_user(image(SHOWN.url)))
        assert sink.status == 502
        assert await booth.spent_nano() == 0

    in_booth(tmp_path, scene, Seeing(fault=Fault.FAIL))


def test_a_text_document_is_text_for_any_model(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        sink = await booth.ask(of_user(document("Grüße".encode())))
        assert sink.status == 200, sink.body
        assert engine.parts == (TextPart("Grüße"),)
        assert "uses" not in sink.document["usage"]

    in_booth(tmp_path, scene, Seeing(frozenset()))


def test_the_text_of_a_document_is_screened(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        body = of_user(document(b"the forbidden fruit"))
        await refused(booth, body, "content_policy_violation", "messages")

    in_booth(tmp_path, scene, policy=Policy(("forbidden fruit",)))


def test_a_quote_and_a_count_read_media_and_let_go_of_it(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        head = CallHead("POST", "/", {"authorization": f"Bearer {booth.secret}"}, {}, {})
        body = MemoryBody(json.dumps(of_user(image(WEB))).encode())
        turn = contextlib.nullcontext()
        quoted = await quote(booth.rooms, OPENAI_CHAT, booth.op, head, body, turn)
        counted = await count(booth.rooms, OPENAI_CHAT, booth.op, head, body, turn)
        assert quoted.price.uses.images == 1
        assert quoted.input_tokens == counted.input_tokens > 85

    in_booth(tmp_path, scene, media={"pages": {WEB: PNG}})


def test_media_is_counted_in_the_prompt_and_nowhere_else() -> None:
    assert with_uses(Usage(5, 1), Uses()) == Usage(5, 1)
    assert with_uses(Usage(5, 1, images=9), Uses(images=2)) == Usage(5, 1, images=2)
    seconds = Usage(5, 1, audio_s=3, video_s=4)
    assert with_uses(Usage(5, 1), Uses(audio_s=3, video_s=4)) == seconds


def streamed(name: str) -> tuple[Json, Any]:
    """A question with an image, asked as a stream, and its dialect."""
    if name == "openai_chat":
        usage = {"stream_options": {"include_usage": True}}
        return of_user(image(SHOWN.url)) | {"stream": True, **usage}, OPENAI_CHAT
    if name == "openai_responses":
        item = {"type": "input_image", "image_url": SHOWN.url}
        said = [{"role": "user", "content": [item]}]
        return {"model": "demo", "stream": True, "store": False, "input": said}, OPENAI_RESPONSES
    body = SHOWN.url.partition(",")[2]
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": body}}
    said = [{"role": "user", "content": [block]}]
    asked = {"model": "demo", "stream": True, "max_tokens": 9, "messages": said}
    return asked, ANTHROPIC_MESSAGES


GOLDEN: dict[str, list[str]] = {
    "openai_chat": ["chunk role", "chunk content", "chunk finish", "chunk usage"],
    "openai_responses": [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ],
    "anthropic_messages": [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ],
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_streams_of_a_question_with_an_image(tmp_path: Path, name: str) -> None:
    """The events of any other answer, and the image in what was used."""

    async def scene(booth: TestBooth, engine: Seeing) -> None:
        body, dialect = streamed(name)
        sink = await booth.ask(body, dialect=dialect)
        assert sink.status == 200, sink.body
        events = [event for event in sink.events if isinstance(event, dict)]
        assert [_kind(event) for event in events] == GOLDEN[name]
        told = next(e for e in reversed(events) if "usage" in json.dumps(e))
        usage = told.get("usage") or told.get("response", {}).get("usage")
        assert usage["uses"] == {"image": 1}
        assert engine.parts == (SHOWN,)

    in_booth(tmp_path, scene, Seeing(chunks=2))


def _kind(event: Json) -> str:
    if "type" in event:
        return str(event["type"])
    if not event["choices"]:
        return "chunk usage"
    choice = event["choices"][0]
    if choice["finish_reason"]:
        return "chunk finish"
    return "chunk role" if "role" in choice["delta"] else "chunk content"
