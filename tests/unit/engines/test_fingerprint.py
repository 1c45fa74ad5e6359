"""Another name where another answer is possible, the same name in another place."""

from pathlib import Path

import pytest

from tokenbooth.engines import fingerprint
from tokenbooth.engines.fingerprint import serving_fingerprint, weights_digest
from tokenbooth.gateway.rules import shown_fingerprint

FLAGS = {"slots": 4, "device": "CPU"}


def test_weights_version_quantisation_and_flags_are_in_the_name(tmp_path: Path) -> None:
    here, there, other = (tmp_path / name for name in ("a", "b", "c"))
    for path, content in ((here, b"x" * 100), (there, b"x" * 100), (other, b"y" * 100)):
        path.write_bytes(content)
    name = serving_fingerprint("engine-1", here, 7, FLAGS)
    assert name == serving_fingerprint("engine-1", there, 7, dict(reversed(FLAGS.items())))
    assert shown_fingerprint(name) == name
    assert " q8_0 " in name
    others = [
        serving_fingerprint("engine-2", here, 7, FLAGS),
        serving_fingerprint("engine-1", other, 7, FLAGS),
        serving_fingerprint("engine-1", here, 99, FLAGS),
        serving_fingerprint("engine-1", here, None, FLAGS),
        serving_fingerprint("engine-1", here, 7, {**FLAGS, "slots": 5}),
    ]
    assert len({name, *others}) == 6


def test_a_large_file_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "WHOLE_BYTES_MAX", 10)
    monkeypatch.setattr(fingerprint, "BLOCK_BYTES", 4)
    path = tmp_path / "w"
    path.write_bytes(bytes(range(200)))
    first = weights_digest(path)
    assert first == weights_digest(path)
    path.write_bytes(bytes(range(199)) + b"\0")
    assert weights_digest(path) != first
