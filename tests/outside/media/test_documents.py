"""Documents and videos through all ten steps, with the real process that draws."""

from pathlib import Path

import pytest

from tests.outside.media.test_rendering import video
from tests.support.media import inline, pdf
from tests.unit.gateway.test_call_prices import PLAIN, set_price, tariff
from tests.unit.gateway.test_media import Seeing, TestBooth, document, in_booth, of_user
from tokenbooth.core.turn import ImagePart, TextPart


def test_a_document_of_pages_is_seen_and_read(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        await set_price(booth, tariff(**PLAIN, image=5_000_000))
        sink = await booth.ask(of_user(document(pdf("Hello", "", "World"))))
        assert sink.status == 200, sink.body
        texts = [part.text for part in engine.parts if isinstance(part, TextPart)]
        shown = [part for part in engine.parts if isinstance(part, ImagePart)]
        assert texts == [
            "[Page 1 of 3]\nHello\n",
            "[Page 2 of 3]\n\n",
            "[Page 3 of 3]\nWorld\n",
        ]
        assert [(part.width, part.height) for part in shown] == [(400, 200)] * 2
        assert len({part.url for part in shown}) == 2
        assert sink.document["usage"]["uses"] == {"image": 2}
        said = sink.headers["x-tokenbooth-notes"]
        assert "messages[].content[].file.file_data=translated to text of 3 pages" in said
        assert "images of the first 2" in said

    in_booth(tmp_path, scene, media={"page_images_max": 2})


def test_a_model_that_does_not_see_gets_the_text_of_a_document(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        sink = await booth.ask(of_user(document(pdf("Hello", ""))))
        assert sink.status == 200, sink.body
        assert [type(part) for part in engine.parts] == [TextPart, TextPart]
        assert "2 pages and no images" in sink.headers["x-tokenbooth-notes"]
        sink = await booth.ask(of_user(document(pdf("", ""))))
        error = sink.document["error"]
        assert (error["code"], error["param"]) == (
            "unsupported_feature",
            "messages[0].content[0].file.file_data",
        )

    in_booth(tmp_path, scene, Seeing(frozenset()))


def test_a_video_is_seen_by_its_frames_and_charged_by_the_second(tmp_path: Path) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        await set_price(booth, tariff(**PLAIN, image=5_000_000, video_s=7_000_000))
        url = inline("video/mp4", video(3))
        sink = await booth.ask(of_user({"type": "video_url", "video_url": {"url": url}}))
        assert sink.status == 200, sink.body
        kinds = [type(part) for part in engine.parts]
        assert kinds == [TextPart, ImagePart] * 2
        assert engine.parts[0] == TextPart("[Video at 0:00]")
        usage = sink.document["usage"]
        assert usage["uses"] == {"video_s": 3}
        tokens = usage["prompt_tokens"] * 1_000_000 + usage["completion_tokens"] * 4_000_000
        assert usage["cost"]["amount_nano"] == (tokens + 3 * 7_000_000) // 1000
        assert "translated to 2 frames without sound" in sink.headers["x-tokenbooth-notes"]

    in_booth(tmp_path, scene, media={"frames_max": 2})


@pytest.mark.parametrize("pages", [1, 3])
def test_a_document_that_cannot_be_read_costs_nothing(tmp_path: Path, pages: int) -> None:
    async def scene(booth: TestBooth, engine: Seeing) -> None:
        raw = pdf(*["a"] * pages)[: 100 if pages == 1 else None]
        sink = await booth.ask(of_user(document(raw)))
        code = "media_unreadable" if pages == 1 else "media_too_large"
        assert sink.document["error"]["code"] == code
        assert await booth.spent_nano() == 0
        assert engine.turns == []

    in_booth(tmp_path, scene, media={"pages_max": 2})
