"""Real documents and videos, and hostile ones, in the process that draws."""

import asyncio
import errno
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import pdf
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.media.kinds import service as kinds
from tokenbooth.media.rendering import pdf as pdf_drawer
from tokenbooth.media.rendering import video as video_drawer
from tokenbooth.media.rendering.service import DrawBounds, Frames, Pages, Picture, Renderer
from tokenbooth.media.rendering.values import Failed, Order

ODD = "tests.support.odd_drawer"
LEFT = 32 * 1024 * 1024


def order(what: str, raw: bytes, left_bytes: int, sees: bool, bounds: dict[str, int]) -> Order:
    all_of: dict[str, Any] = {
        "pages_max": 100,
        "images_max": 20 if sees else 0,
        "video_s_max": 300,
        "answer_bytes_max": left_bytes,
        "cpu_s_max": 30,
        **bounds,
    }
    return Order(what=what, raw=raw, **all_of)


def pages(raw: bytes, left_bytes: int = LEFT, *, sees: bool = True, **bounds: int) -> Pages:
    """As the child draws, in this process."""
    drawn = pdf_drawer.drawn(order("pdf", raw, left_bytes, sees, bounds))
    assert isinstance(drawn, Pages), drawn
    return drawn


def frames(raw: bytes, left_bytes: int = LEFT, **bounds: int) -> Frames:
    drawn = video_drawer.drawn(order("video", raw, left_bytes, True, bounds))
    assert isinstance(drawn, Frames), drawn
    return drawn


def refused(what: str, raw: bytes, **bounds: int) -> tuple[str, str]:
    drawer = pdf_drawer if what == "pdf" else video_drawer
    drawn = drawer.drawn(order(what, raw, LEFT, True, bounds))
    assert isinstance(drawn, Failed), drawn
    return drawn.code, drawn.public


def pixels(picture: Picture) -> bytes:
    """The rows of a PNG of ours, without their first bytes."""
    kind = kinds.checked_format(picture.png, kinds.IMAGES)
    size = kinds.checked_size(picture.png, kind, 10**8)
    assert (size.width, size.height) == (picture.width, picture.height)
    at = picture.png.index(b"IDAT")
    (length,) = struct.unpack(">I", picture.png[at - 4 : at])
    plain = zlib.decompress(picture.png[at + 4 : at + 4 + length])
    row = 3 * size.width + 1
    return b"".join(plain[start + 1 : start + row] for start in range(0, len(plain), row))


def test_a_page_is_drawn_as_it_looks() -> None:
    drawn = pages(pdf("", "Text"))
    assert [page.text for page in drawn.pages] == ["", "Text"]
    red, text = (page.picture for page in drawn.pages)
    assert red is not None
    assert text is not None
    seen = pixels(red)
    assert seen[:3] == b"\xff\0\0"
    assert seen[3 * 399 : 3 * 400] == b"\xff\xff\xff"
    assert b"\0\0\0" in pixels(text)


def test_a_model_that_does_not_see_costs_no_drawing() -> None:
    assert [page.picture for page in pages(pdf("a", "b"), sees=False).pages] == [None, None]


def test_pictures_end_where_their_number_or_their_bytes_end() -> None:
    whole = pages(pdf("a", "b", "c")).pages
    assert all(page.picture is not None for page in whole)
    few = pages(pdf("a", "b", "c"), images_max=1).pages
    assert [page.picture is not None for page in few] == [True, False, False]
    first = whole[0].picture
    assert first is not None
    small = pages(pdf("a", "b", "c"), len(first.png)).pages
    assert [page.picture is not None for page in small] == [True, False, False]
    assert [page.text for page in small] == ["a", "b", "c"]


def test_a_document_of_too_many_pages_or_none_that_can_be_read_is_refused() -> None:
    too_long = refused("pdf", pdf("a", "b", "c"), pages_max=2)
    assert too_long == ("MEDIA_TOO_LARGE", "The PDF has 3 pages; the most is 2.")
    for raw in (b"%PDF-1.7", pdf("a")[:200], pdf()):
        assert refused("pdf", raw)[0] == "MEDIA_UNREADABLE"


def test_the_child_draws_within_its_bounds_and_says_what_is_wrong() -> None:
    """The same over the real process: a page, then a file that is none."""
    renderer = Renderer(DrawBounds())
    (page,) = asyncio.run(renderer.pages(pdf("Hi"), LEFT, sees=True)).pages
    assert page.text == "Hi"
    assert page.picture is not None
    with pytest.raises(Problem, match="damaged") as caught:
        asyncio.run(renderer.pages(b"%PDF-1.7", LEFT, sees=True))
    assert caught.value.code is Code.MEDIA_UNREADABLE
    with pytest.raises(Problem) as caught:
        asyncio.run(renderer.frames(b"\0\0\0\x18ftypmp42" + bytes(500), LEFT))
    assert caught.value.code is Code.MEDIA_UNREADABLE


@pytest.mark.parametrize("box", [b"[0 0 9999999 9999999]", b"[0 0 0 0]", b"[0 0 1 9000000]"])
def test_an_absurd_sheet_is_drawn_small_or_not_at_all(box: bytes) -> None:
    (page,) = pages(pdf("a").replace(b"[0 0 200 100]", box)).pages
    assert page.picture is None or max(page.picture.width, page.picture.height) <= 1568


@pytest.mark.parametrize("what", [b"dies", b"floods", b"babbles", b"cuts"])
def test_a_process_that_misbehaves_is_an_unreadable_file(what: bytes) -> None:
    with pytest.raises(Problem) as caught:
        asyncio.run(Renderer(DrawBounds(), ODD).pages(what, 100, sees=True))
    assert caught.value.code is Code.MEDIA_UNREADABLE
    assert "within the bounds" in caught.value.public


def test_the_child_can_open_nothing_once_it_reads_the_file() -> None:
    program = (
        "import socket, sys\n"
        "from tokenbooth.media.rendering.worker import _confine\n"
        "_confine(5)\n"
        "for attempt in (lambda: open(sys.executable), socket.socket):\n"
        "    try:\n"
        "        attempt()\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [str(errno.EMFILE).encode()] * 2


def test_what_the_process_says_is_passed_on() -> None:
    with pytest.raises(Problem, match="As it says"):
        asyncio.run(Renderer(DrawBounds(), ODD).frames(b"", 100))


def test_a_process_that_hangs_dies_with_its_order() -> None:
    pid = os.getpid()
    children = Path(f"/proc/{pid}/task/{pid}/children")
    before = children.read_text()

    async def given_up() -> None:
        async with asyncio.timeout(0.5):
            await Renderer(DrawBounds(), ODD).pages(b"hangs", 100, sees=True)

    with pytest.raises(TimeoutError):
        asyncio.run(given_up())
    assert children.read_text() == before


def video(seconds: int, *, side: int = 64, form: str = "mp4") -> bytes:
    """Ten frames a second, which grow lighter."""
    import av

    held = io.BytesIO()
    with av.open(held, "w", format=form) as container:
        stream: Any = container.add_stream("mpeg4" if form == "mp4" else "libvpx", rate=10)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for number in range(10 * seconds):
            frame = av.VideoFrame(side, side, "rgb24")
            shade = 255 * number // (10 * seconds)
            frame.planes[0].update(bytes([shade]) * frame.planes[0].buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return held.getvalue()


@pytest.mark.parametrize("form", ["mp4", "webm"])
def test_the_frames_of_a_video_are_spread_over_all_of_it(form: str) -> None:
    drawn = frames(video(4, form=form), images_max=3)
    assert drawn.duration_s in (4, 5)
    assert [round(frame.at_ms / 1000) for frame in drawn.frames] == [1, 2, 3]
    shades = [pixels(frame)[0] for frame in drawn.frames]
    assert shades == sorted(shades)
    assert shades[0] < 80
    assert shades[2] > 170
    assert frames(video(1, form=form)).frames[0].width == 64


def test_a_large_frame_is_made_smaller_and_frames_end_with_their_bytes() -> None:
    raw = video(2, side=1024)
    drawn = frames(raw)
    assert [(frame.width, frame.height) for frame in drawn.frames] == [(768, 768)] * 2
    assert len(frames(raw, len(drawn.frames[0].png)).frames) == 1


def test_a_video_that_is_too_long_or_damaged_is_refused() -> None:
    whole = video(3)
    assert refused("video", whole, video_s_max=2)[0] == "MEDIA_TOO_LARGE"
    for raw in (whole[:200], b"\0\0\0\x18ftypmp42" + bytes(500), b"\x1aE\xdf\xa3" + bytes(500)):
        assert refused("video", raw)[0] == "MEDIA_UNREADABLE"


@pytest.mark.parametrize(("drawer", "extra"), [(pdf_drawer, "media"), (video_drawer, "video")])
def test_a_server_without_the_extra_names_it(
    drawer: Any, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawer, "PACKAGE", "no_such_package_here")
    drawn = drawer.drawn(order("pdf", pdf("a"), LEFT, True, {}))
    assert isinstance(drawn, Failed)
    assert drawn.code == "UNSUPPORTED_FEATURE"
    assert f"the extra `{extra}`" in drawn.public
