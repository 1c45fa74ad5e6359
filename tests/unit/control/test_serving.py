"""One process at a time serves a directory, and tells whoever asks."""

import fcntl
from pathlib import Path

import pytest

from tokenbooth.control import serving
from tokenbooth.control.serving import Serving, serving_lock, serving_now
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

HERE = Serving(pid=4711, host="127.0.0.1", port=8123)


def test_nobody_serves_a_fresh_directory(tmp_path: Path) -> None:
    assert serving_now(tmp_path) is None
    assert serving_now(tmp_path / "none") is None


def test_the_holder_is_told_while_it_holds_and_not_after(tmp_path: Path) -> None:
    with serving_lock(tmp_path) as note:
        assert serving_now(tmp_path) is None
        note.write(HERE)
        assert serving_now(tmp_path) == HERE
    assert serving_now(tmp_path) is None


def test_a_second_server_is_refused_with_the_address_of_the_first(tmp_path: Path) -> None:
    with serving_lock(tmp_path) as note:
        note.write(HERE)
        with pytest.raises(Problem) as caught, serving_lock(tmp_path):
            pass
    assert caught.value.code is Code.STATE_CONFLICT
    assert "4711" in caught.value.public
    assert "http://127.0.0.1:8123" in caught.value.public


def test_a_second_server_is_refused_before_the_first_has_said_where(tmp_path: Path) -> None:
    with serving_lock(tmp_path), pytest.raises(Problem) as caught, serving_lock(tmp_path):
        pass
    assert "another process" in caught.value.public


def test_somebody_who_only_asks_keeps_no_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``up`` and others poll for the note while a server starts."""
    with (tmp_path / "serving.json").open("wb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                fcntl.flock(asking, fcntl.LOCK_UN)

        monkeypatch.setattr(serving.time, "sleep", pause)
        with serving_lock(tmp_path) as note:
            note.write(HERE)
            assert serving_now(tmp_path) == HERE
    assert len(pauses) == 3


def test_what_a_crash_left_does_not_bind(tmp_path: Path) -> None:
    (tmp_path / "serving.json").write_text('{"pid": 1, "host": "h", "port": 1}')
    assert serving_now(tmp_path) is None
    with serving_lock(tmp_path):
        assert serving_now(tmp_path) is None


def test_a_longer_note_is_not_left_behind_a_shorter_one(tmp_path: Path) -> None:
    with serving_lock(tmp_path) as note:
        note.write(Serving(pid=1, host="a-very-long-name.example", port=65535))
        note.write(Serving(pid=1, host="a", port=1))
        assert serving_now(tmp_path) == Serving(pid=1, host="a", port=1)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": "x"}', '{"pid": 1}'])
def test_a_spoilt_note_is_no_address(tmp_path: Path, text: str) -> None:
    with serving_lock(tmp_path):
        (tmp_path / "serving.json").write_text(text)
        assert serving_now(tmp_path) is None


def test_without_a_directory_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught, serving_lock(tmp_path / "none"):
        pass
    assert "tokenbooth init" in caught.value.public


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("booth.example", "http://booth.example:80"),
    ],
)
def test_an_address_can_be_called_from_this_machine(host: str, url: str) -> None:
    assert Serving(1, host, 80).base_url == url
