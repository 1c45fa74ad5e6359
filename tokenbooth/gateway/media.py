"""Media of a call, between step 4's choice of engines and its count of tokens.

Whatever a part names is fetched, looked at and turned into texts, images and sounds that stand in
the turn itself. Nothing is held or charged by then, so media that cannot be had costs nothing.
"""

import asyncio
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from tokenbooth.admission.queue.service import Gate
from tokenbooth.content.files import service as files
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    AudioPart,
    ImagePart,
    MediaPart,
    Message,
    Part,
    TextPart,
    Turn,
    VideoPart,
)
from tokenbooth.gateway.options import MediaOptions
from tokenbooth.media.fetch.service import Fetcher, too_large
from tokenbooth.media.kinds import service as kinds
from tokenbooth.media.kinds.service import Format
from tokenbooth.media.rendering.service import DrawBounds, Frames, Pages, Picture, Renderer
from tokenbooth.money.prices.service import NO_USES, Uses
from tokenbooth.protocols.dialect import Note, Parsed

QUEUE_MAX = 64
FULL_RETRY_S = 5
_PLACE = re.compile(r"\[-?\d+\]")
_WEB = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one part became: ``note`` is told to the caller, ``uses`` are charged."""

    parts: tuple[Part, ...]
    uses: Uses = NO_USES
    note: str = ""


class MediaDesk:
    """The media of all calls of this process. ``key`` is the instance's sealing key."""

    def __init__(
        self, store: Store, fetcher: Fetcher, renderer: Renderer, key: bytes, options: MediaOptions
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._renderer = renderer
        self._key = key
        self._turns = Gate(options.calls_max, QUEUE_MAX)
        self.options = options
        self.held_bytes = 0

    def basket(self) -> "Basket":
        """For one call."""
        return Basket(self)

    async def taken_in(
        self, basket: "Basket", op: Op, caller: Caller, turn: Turn, *, sees: bool
    ) -> tuple[Turn, Uses, tuple[Note, ...]]:
        """The turn, which has media, as engines take it, what of it is charged besides tokens, and
        what to say.

        ``sees``: page images are of use. Raises INVALID_VALUE, UNSUPPORTED_FEATURE, FILE_NOT_FOUND,
        MEDIA_UNREACHABLE, MEDIA_UNREADABLE, MEDIA_TOO_LARGE or ENGINE_BUSY, naming the part.
        """
        media = turn.media
        self._check(media)
        found: dict[MediaPart, Taken] = {}
        sizes_bytes: dict[MediaPart, int] = {}
        try:
            place = await self._turns.enter(self.options.wait_max_s)
        except Problem as busy:
            public = "Too many calls with media are being read."
            raise Problem(busy.code, public, retry_after_s=busy.retry_after_s) from None
        part = media[0]
        try:
            async with asyncio.timeout(self.options.wait_max_s):
                for part in media:
                    before = basket.left_bytes
                    if part in found:  # read once, and told to the engine each time
                        basket.reserve(sizes_bytes[part])
                        continue
                    found[part] = await self._taken(basket, op, caller, part, sees=sees)
                    sizes_bytes[part] = before - basket.left_bytes
        except Problem as problem:
            raise problem.named(part.param) from problem
        except TimeoutError as error:
            raise Problem(
                Code.MEDIA_UNREACHABLE,
                f"The call's media was not read within {self.options.wait_max_s} s.",
                param=part.param,
            ) from error
        finally:
            place.leave()
        messages = tuple(_retold(message, found) for message in turn.messages)
        all_of = [found[part] for part in media]
        return replace(turn, messages=messages), _sum(all_of), tuple(_notes(media, all_of))

    def _check(self, media: Sequence[MediaPart]) -> None:
        """What can be told without reading anything."""
        parts_max = self.options.parts_max
        if len(media) > parts_max:
            public = f"The call has {len(media)} parts of media; the most is {parts_max}."
            raise Problem(Code.INVALID_VALUE, public, param=media[parts_max].param)
        for part in media:
            if part.url.startswith(_WEB) and not self.options.fetch_urls:
                raise Problem(
                    Code.UNSUPPORTED_FEATURE,
                    "This server fetches no URLs; send the bytes, or the id of an uploaded file.",
                    param=part.param,
                )

    async def _taken(
        self, basket: "Basket", op: Op, caller: Caller, part: MediaPart, *, sees: bool
    ) -> Taken:
        raw = await self._bytes(basket, op, caller, part.url)
        basket.reserve(len(raw))
        match part:
            case ImagePart():
                return await asyncio.to_thread(_image, part, raw, self.options.pixels_max)
            case AudioPart():
                return await asyncio.to_thread(_sound, part, raw)
            case VideoPart():
                kinds.checked_format(raw, kinds.VIDEOS)
                frames = await self._renderer.frames(raw, basket.left_bytes)
                return _video(basket, part, frames)
        if kinds.checked_format(raw, kinds.DOCUMENTS) is Format.TEXT:
            return Taken((TextPart(raw.decode()),))
        pages = await self._renderer.pages(raw, basket.left_bytes, sees=sees)
        return _document(basket, part, pages, sees=sees)

    async def _bytes(self, basket: "Basket", op: Op, caller: Caller, url: str) -> bytes:
        bytes_max = min(self.options.part_bytes_max, basket.left_bytes)
        if url.startswith(_WEB):
            return await self._fetcher.fetch(url, bytes_max)
        kind, _, rest = url.partition(":")
        if kind == "file":
            return await self._stored(op, caller, rest, bytes_max)
        head, _, body = rest.partition(",")
        if not head.endswith(";base64"):
            raise Problem(Code.MEDIA_UNREADABLE, "A data URL must hold base64.")
        if len(body) // 4 * 3 > bytes_max + 2:
            raise too_large(bytes_max)
        return await asyncio.to_thread(_decoded, body)

    async def _stored(self, op: Op, caller: Caller, file_id: str, bytes_max: int) -> bytes:
        file = await self._store.read(lambda tx: files.file_by(op, tx, caller, file_id))
        if file.size_bytes > bytes_max:
            raise too_large(bytes_max)
        sealed = await self._store.read(lambda tx: files.content(op, tx, caller, file_id))
        return await asyncio.to_thread(
            files.unsealed, sealed, self._key, caller.project_id, file_id
        )


class Basket:
    """What the media of one call takes of this process's memory, until it is closed."""

    def __init__(self, desk: MediaDesk) -> None:
        self._desk = desk
        self._bytes = 0

    @property
    def left_bytes(self) -> int:
        """What the media of this call may still have."""
        return self._desk.options.call_bytes_max - self._bytes

    def reserve(self, size_bytes: int) -> None:
        """Raises MEDIA_TOO_LARGE, or ENGINE_BUSY where other calls hold too much."""
        if size_bytes > self.left_bytes:
            raise too_large(self.left_bytes)
        if self._desk.held_bytes + size_bytes > self._desk.options.bytes_max:
            public = "The server holds as much media as it may."
            raise Problem(Code.ENGINE_BUSY, public, retry_after_s=FULL_RETRY_S)
        self._bytes += size_bytes
        self._desk.held_bytes += size_bytes

    async def taken_in(
        self, op: Op, caller: Caller, parsed: Parsed, *, sees: bool
    ) -> tuple[Parsed, Uses]:
        """As the desk has it, for a read body."""
        if not parsed.turn.media:
            return parsed, NO_USES
        taken = await self._desk.taken_in(self, op, caller, parsed.turn, sees=sees)
        turn, uses, notes = taken
        return replace(parsed, turn=turn, notes=(*parsed.notes, *notes)), uses

    def close(self) -> None:
        """Idempotent."""
        self._desk.held_bytes -= self._bytes
        self._bytes = 0

    def __enter__(self) -> "Basket":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def with_uses(usage: Usage, uses: Uses) -> Usage:
    """Media is counted in the prompt, whatever the engine says of it."""
    if uses == NO_USES:
        return usage
    return replace(usage, images=uses.images, audio_s=uses.audio_s, video_s=uses.video_s)


def draw_bounds(options: MediaOptions) -> DrawBounds:
    """What of the options bounds the drawing."""
    return DrawBounds(
        pages_max=options.pages_max,
        images_max=options.page_images_max,
        video_s_max=options.video_s_max,
        frames_max=options.frames_max,
        cpu_s_max=max(1, options.wait_max_s),
    )


def _decoded(body: str) -> bytes:
    try:
        return b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (NotBase64, ValueError) as error:
        raise Problem(Code.MEDIA_UNREADABLE, "The base64 cannot be read.") from error


def _image(part: ImagePart, raw: bytes, pixels_max: int) -> Taken:
    kind = kinds.checked_format(raw, kinds.IMAGES)
    size = kinds.checked_size(raw, kind, pixels_max)
    made = ImagePart(_inline(kind, raw), part.param, size.width, size.height)
    return Taken((made,), Uses(images=1))


def _sound(part: AudioPart, raw: bytes) -> Taken:
    kind = kinds.checked_format(raw, kinds.SOUNDS)
    duration_s = kinds.checked_duration_s(raw, kind)
    made = AudioPart(_inline(kind, raw), part.param, duration_s)
    return Taken((made,), Uses(audio_s=duration_s))


def _document(basket: Basket, part: MediaPart, drawn: Pages, *, sees: bool) -> Taken:
    """Every page as text, and as image where it was drawn."""
    parts: list[Part] = []
    count, images = len(drawn.pages), 0
    if not sees and not any(page.text.strip() for page in drawn.pages):
        public = "The document holds no text, and this model sees no images of its pages."
        raise Problem(Code.UNSUPPORTED_FEATURE, public)
    for number, page in enumerate(drawn.pages, start=1):
        parts.append(TextPart(f"[Page {number} of {count}]\n{page.text}\n"))
        if page.picture is not None:
            parts.append(_picture(basket, part, page.picture))
            images += 1
    shown = f"and images of the first {images}" if images else "and no images"
    return Taken(tuple(parts), Uses(images=images), f"translated to text of {count} pages {shown}")


def _video(basket: Basket, part: MediaPart, drawn: Frames) -> Taken:
    parts: list[Part] = []
    for frame in drawn.frames:
        minutes, seconds = divmod(frame.at_ms // 1000, 60)
        parts.append(TextPart(f"[Video at {minutes}:{seconds:02}]"))
        parts.append(_picture(basket, part, frame))
    note = f"translated to {len(drawn.frames)} frames without sound"
    return Taken(tuple(parts), Uses(video_s=drawn.duration_s), note)


def _picture(basket: Basket, part: MediaPart, drawn: Picture) -> ImagePart:
    basket.reserve(len(drawn.png))
    return ImagePart(_inline(Format.PNG, drawn.png), part.param, drawn.width, drawn.height)


def _inline(kind: Format, raw: bytes) -> str:
    return f"data:{kind.value};base64,{b64encode(raw).decode()}"


def _retold(message: Message, found: dict[MediaPart, Taken]) -> Message:
    if not any(isinstance(part, MediaPart) for part in message.parts):
        return message
    parts: list[Part] = []
    for part in message.parts:
        parts += found[part].parts if isinstance(part, MediaPart) else (part,)
    return replace(message, parts=tuple(parts))


def _sum(all_of: Sequence[Taken]) -> Uses:
    uses = [taken.uses for taken in all_of]
    return Uses(
        images=sum(each.images for each in uses),
        audio_s=sum(each.audio_s for each in uses),
        video_s=sum(each.video_s for each in uses),
    )


def _notes(media: Sequence[MediaPart], all_of: Sequence[Taken]) -> list[Note]:
    return [
        Note(_PLACE.sub("[]", part.param), taken.note)
        for part, taken in zip(media, all_of, strict=True)
        if taken.note
    ]
