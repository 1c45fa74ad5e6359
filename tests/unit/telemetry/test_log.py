import io
import json
import threading

import pytest

from tokenbooth.core.op import Log
from tokenbooth.telemetry.lines import text_line
from tokenbooth.telemetry.log import LEVELS, JsonLog, LineWriter

WAIT_S = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


class GatedStream(io.StringIO):
    """Its writes wait for ``gate``; ``reached`` says that one waits."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.gate.wait(WAIT_S)
        return super().write(text)


class BrokenStream(io.StringIO):
    """Breaks like a pipe whose reader is gone, until ``mended``."""

    mended = False

    def write(self, text: str) -> int:
        if not self.mended:
            raise BrokenPipeError
        return super().write(text)


def events(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_event_is_one_json_line_in_order() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    log: Log = JsonLog(writer, Clock())
    for number in range(100):
        log.event("call_ended", number=number)
    assert writer.close(WAIT_S)
    assert [line["number"] for line in events(stream)] == list(range(100))
    assert {line["level"] for line in events(stream)} == {"info"}


def test_a_fault_is_an_error_and_tells_the_type_of_its_error() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    JsonLog(writer, Clock()).fault("engine_died", OSError("quoted input"), exit_status=139)
    assert writer.close(WAIT_S)
    (line,) = events(stream)
    assert line["level"] == "error"
    assert line["error"] == "builtins.OSError"
    assert line["exit_status"] == 139
    assert "quoted input" not in stream.getvalue()


def test_a_fault_without_an_error_has_only_its_fields() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    JsonLog(writer, Clock()).fault("queue_full", length=3)
    assert writer.close(WAIT_S)
    assert events(stream) == [
        {
            "time": "1970-01-01T00:00:00.000001Z",
            "level": "error",
            "event": "queue_full",
            "length": 3,
        }
    ]


@pytest.mark.parametrize(("level", "written"), [("info", 2), ("warning", 1), ("error", 1)])
def test_the_level_decides_what_is_written(level: str, written: int) -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    log = JsonLog(writer, Clock(), level=level)
    log.event("a")
    log.fault("b")
    assert writer.close(WAIT_S)
    assert len(stream.getvalue().splitlines()) == written
    assert level in LEVELS


def test_an_unknown_level_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="tuple"):
        JsonLog(LineWriter(io.StringIO()), Clock(), level="loud")


def test_the_layout_for_terminals_can_be_chosen() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    JsonLog(writer, Clock(), layout=text_line).event("ready", port=8080)
    assert writer.close(WAIT_S)
    assert stream.getvalue() == "1970-01-01T00:00:00.000001Z info ready port=8080\n"


def test_a_slow_reader_costs_lines_and_never_the_caller() -> None:
    stream = GatedStream()
    writer = LineWriter(stream, lines_max=3)
    log = JsonLog(writer, Clock())
    log.event("first")
    assert stream.reached.wait(WAIT_S)
    for number in range(10):
        log.event("more", number=number)
    assert writer.lost >= 7
    assert not writer.flush(0.0)
    stream.gate.set()
    assert writer.flush(WAIT_S)
    log.event("after")
    assert writer.close(WAIT_S)
    names = [line["event"] for line in events(stream)]
    assert names == ["first", "more", "more", "more", "log_lines_lost", "after"]
    assert events(stream)[-2]["total"] == writer.lost
    assert events(stream)[-2]["level"] == "error"


def test_a_broken_stream_costs_lines_and_never_the_caller() -> None:
    stream = BrokenStream()
    writer = LineWriter(stream)
    log = JsonLog(writer, Clock())
    log.event("lost")
    assert writer.flush(WAIT_S)
    assert writer.lost == 1
    stream.mended = True
    log.event("kept")
    assert writer.close(WAIT_S)
    assert [line["event"] for line in events(stream)] == ["log_lines_lost", "kept"]


def test_a_closed_stream_is_a_broken_stream() -> None:
    stream = io.StringIO()
    stream.close()
    writer = LineWriter(stream)
    assert writer.put("line")
    assert writer.flush(WAIT_S)
    assert writer.lost == 1


def test_after_close_lines_are_counted_and_not_written() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    assert writer.put("one")
    assert writer.close(WAIT_S)
    assert not writer.put("two")
    assert stream.getvalue() == "one\n"
    assert writer.lost == 1


def test_close_is_bounded_when_the_reader_hangs() -> None:
    stream = GatedStream()
    writer = LineWriter(stream)
    writer.put("held")
    assert stream.reached.wait(WAIT_S)
    assert not writer.close(0.0)
    stream.gate.set()
    assert writer.flush(WAIT_S)


def test_a_writer_that_was_never_used_starts_no_thread() -> None:
    before = threading.active_count()
    assert LineWriter(io.StringIO()).close(WAIT_S)
    assert threading.active_count() == before


def test_many_threads_lose_nothing_and_mix_no_lines() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    log = JsonLog(writer, lambda: 0)

    def speak(speaker: int) -> None:
        for number in range(200):
            log.event("said", speaker=speaker, number=number)

    threads = [threading.Thread(target=speak, args=(speaker,)) for speaker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close(WAIT_S)
    said = [(line["speaker"], line["number"]) for line in events(stream)]
    assert sorted(said) == [(s, n) for s in range(4) for n in range(200)]  # type: ignore[type-var]
