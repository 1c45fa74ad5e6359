"""A PDF's texts and pictures of its pages; runs in the child, the only file that loads PDFium."""

from importlib import import_module
from typing import Any

from tokenbooth.media.rendering.png import png_of
from tokenbooth.media.rendering.values import (
    SIDE_MAX,
    TEXT_CHARACTERS_MAX,
    Drawn,
    Failed,
    Order,
    Page,
    Pages,
    Picture,
)

PACKAGE = "pypdfium2"
# All that is loaded while a file is read; nothing can be opened by then.
MODULES = (PACKAGE, "encodings.utf_16_le")
SCALE_MAX = 2.0
DAMAGED = Failed("MEDIA_UNREADABLE", "The PDF is damaged, holds no page, or needs a password.")
MISSING = Failed("UNSUPPORTED_FEATURE", "PDF documents need the extra `media` on this server.")


def drawn(order: Order) -> Drawn:
    """Every page in order; pictures until their number or their bytes are used up."""
    try:
        package = import_module(PACKAGE)
    except ImportError:
        return MISSING
    try:
        return _pages(package.PdfDocument(order.raw), order)
    except package.PdfiumError:
        return DAMAGED


def _pages(document: Any, order: Order) -> Drawn:
    count = len(document)
    if not count:
        return DAMAGED
    if count > order.pages_max:
        public = f"The PDF has {count} pages; the most is {order.pages_max}."
        return Failed("MEDIA_TOO_LARGE", public)
    pages: list[Page] = []
    characters, left_bytes, draws = 0, order.answer_bytes_max, True
    for place in range(count):
        page = document[place]
        text = _plain(page.get_textpage().get_text_bounded())
        characters += len(text)
        if characters > TEXT_CHARACTERS_MAX:
            public = f"The PDF's text has more than {TEXT_CHARACTERS_MAX} characters."
            return Failed("MEDIA_TOO_LARGE", public)
        picture = _picture(page) if draws and place < order.images_max else None
        if picture is not None and len(picture.png) > left_bytes:
            picture, draws = None, False
        left_bytes -= 0 if picture is None else len(picture.png)
        pages.append(Page(text, picture))
        page.close()
    return Pages(tuple(pages))


def _picture(page: Any) -> Picture | None:
    """``None`` for a sheet that is a line or nothing."""
    longest = max(page.get_size())
    scale = min(SCALE_MAX, (SIDE_MAX - 1) / longest) if longest > 0 else 0
    if min(page.get_size()) * scale < 1:
        return None
    bitmap = page.render(scale=scale, may_draw_forms=False, rev_byteorder=True)
    width, height, stride = bitmap.width, bitmap.height, bitmap.stride
    raw = bytes(bitmap.buffer)
    rows = b"".join(raw[row * stride : row * stride + 3 * width] for row in range(height))
    return Picture(png_of(rows, width, height), width, height)


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "").replace("\r\n", "\n")
