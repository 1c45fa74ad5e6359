"""Media made by hand, and a desk that fetches from a table."""

import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.media import MediaDesk, draw_bounds
from tokenbooth.gateway.options import MediaOptions
from tokenbooth.media.fetch.service import Fetcher
from tokenbooth.media.rendering.png import png_of
from tokenbooth.media.rendering.service import Renderer

KEY = b"s" * 32
RED, BLUE = (255, 0, 0), (0, 0, 255)


def png(width: int = 4, height: int = 3, color: Sequence[int] = RED) -> bytes:
    """An image of one color."""
    return png_of(bytes(color) * (width * height), width, height)


def png_head(width: int, height: int) -> bytes:
    """An image that claims to be of that size and holds next to nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + head + struct.pack(">I", zlib.crc32(head))


def wav(seconds_tenths: int, rate_hz: int = 8000) -> bytes:
    """Silence of so many tenths of a second, 16 bits, one channel."""
    sound = bytes(rate_hz // 10 * seconds_tenths * 2)
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * 2, 2, 16)
    body = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def mp3(frames: int) -> bytes:
    """So many frames of 1152 samples at 44,100 Hz and 128 kbit/s, of silence as good as any."""
    return (b"\xff\xfb\x90\x00" + bytes(413)) * frames


def pdf(*texts: str) -> bytes:
    """A page of 200 by 100 points for each text."""
    count = len(texts)
    kids = " ".join(f"{3 + 2 * place} 0 R" for place in range(count))
    font = "/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
    ]
    for place, text in enumerate(texts):
        drawn = f"BT /F 12 Tf 10 50 Td ({text}) Tj ET" if text else "1 0 0 rg 0 0 100 100 re f"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100]"
            f" /Resources << {font} >> /Contents {4 + 2 * place} 0 R >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    made, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(made))
        made += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(made)
    made += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    made += "".join(f"{place:010} 00000 n \n" for place in places)
    made += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return made.encode("ascii")


def inline(kind: str, raw: bytes) -> str:
    """A data URL."""
    return f"data:{kind};base64,{b64encode(raw).decode()}"


class TableFetcher(Fetcher):
    """Knows the pages of a table; ``asked`` are the URLs in order."""

    def __init__(self, pages: Mapping[str, bytes] | None = None) -> None:
        self.pages = pages or {}
        self.asked: list[str] = []

    async def fetch(self, url: str, bytes_max: int) -> bytes:
        self.asked.append(url)
        if url not in self.pages:
            raise Problem(Code.MEDIA_UNREACHABLE, "The URL's host has no public address.")
        return self.pages[url]


def media_desk(store: Any, pages: Mapping[str, bytes] | None = None, **options: Any) -> MediaDesk:
    chosen = MediaOptions(**options)
    return MediaDesk(store, TableFetcher(pages), Renderer(draw_bounds(chosen)), KEY, chosen)
