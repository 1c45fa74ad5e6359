"""Frames of a WebSocket to texts, and back (RFC 6455). They are read by ``websockets``."""

import logging

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side, State

# What becomes of a connection is told by its calls, not by a library.
_SILENT = logging.Logger("websockets", logging.CRITICAL + 1)

# RFC 6455 5.2.
WHOLE_TEXT = b"\x81"
SHORT_BYTES = 126
LONG_BYTES = 1 << 16


class Frames:
    """``over`` when the peer will say nothing more: it closed, or broke a rule."""

    __slots__ = ("_frames", "_partial", "over")

    def __init__(self, text_bytes_max: int) -> None:
        self._frames = Protocol(Side.SERVER, max_size=text_bytes_max, logger=_SILENT)
        self._partial = bytearray()
        self.over = False

    @property
    def open(self) -> bool:
        """Whether more may be said."""
        return self._frames.state is State.OPEN

    @property
    def answered(self) -> bool:
        """Whether the peer closed, too."""
        return self._frames.close_rcvd is not None

    @property
    def held_bytes(self) -> int:
        """What is kept of a text that is not whole yet."""
        return 0 if self.over else len(self._frames.reader.buffer) + len(self._partial)

    def fed(self, piece: bytes) -> list[bytes]:
        """The texts that became whole."""
        texts: list[bytes] = []
        self._frames.receive_data(piece)
        for frame in self._frames.events_received():
            if isinstance(frame, Frame) and not self.over:
                self._take(frame, texts)
        self.over = self.over or (not self.open and self._frames.parser_exc is not None)
        return texts

    def text(self, text: bytes) -> bytes:
        """The frame of a text, nothing where no more may be said. Of each step of a stream: the
        library's own way takes ten times as long."""
        if self._frames.state is not State.OPEN:
            return b""
        size_bytes = len(text)
        if size_bytes < SHORT_BYTES:
            return WHOLE_TEXT + size_bytes.to_bytes(1) + text
        if size_bytes < LONG_BYTES:
            return WHOLE_TEXT + b"\x7e" + size_bytes.to_bytes(2) + text
        return WHOLE_TEXT + b"\x7f" + size_bytes.to_bytes(8) + text

    def ping(self) -> None:
        if self.open:
            self._frames.send_ping(b"")

    def close(self, code: int, reason: str) -> None:
        if self.open:
            self._frames.send_close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """End it for a fault of the peer's; nothing more is read."""
        self.over = True
        self._partial.clear()
        if self.open:
            self._frames.fail(code, reason)

    def unsent(self) -> tuple[bytes, bool]:
        """What is to be sent, and whether it is the last of all."""
        pieces = self._frames.data_to_send()
        return b"".join(pieces), SEND_EOF in pieces

    def _take(self, frame: Frame, texts: list[bytes]) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.over = True
            self._partial.clear()
        elif frame.opcode is Opcode.BINARY:
            self.fail(CloseCode.UNSUPPORTED_DATA, "Send JSON in text frames.")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._partial += frame.data
            if frame.fin:
                self._whole(texts)

    def _whole(self, texts: list[bytes]) -> None:
        text = bytes(self._partial)
        self._partial.clear()
        try:
            text.decode()
        except UnicodeDecodeError as broken:
            self.fail(CloseCode.INVALID_DATA, f"The text is no UTF-8 at byte {broken.start}.")
        else:
            texts.append(text)
