"""The key of receipts: made whole, for its owner only, once; replaced in one step."""

import stat
from pathlib import Path

import pytest

from tests.unit.control.conftest import Noise
from tokenbooth.control.instance import SECRET_BYTES, InstancePaths
from tokenbooth.control.receipts_key import own_signer, rotate_key
from tokenbooth.control.secret_files import appear_once, put_in_place, write_once
from tokenbooth.control.setup import init_instance
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.signing.keys import SigningKey
from tokenbooth.store.options import StoreOptions


@pytest.fixture
def home(tmp_path: Path) -> Path:
    InstancePaths(tmp_path).secrets.mkdir()
    return tmp_path


def names(home: Path) -> list[str]:
    return sorted(path.name for path in InstancePaths(home).secrets.iterdir())


def test_a_set_up_instance_has_its_key(tmp_path: Path) -> None:
    home = tmp_path / "booth"
    made = init_instance(home, StoreOptions(f"sqlite:///{home}/tokenbooth.db"), "", Noise())
    assert "secrets/receipts.key" in made.created
    path = InstancePaths(home).receipts_key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert own_signer(home, Noise()).key.key_id == SigningKey(before).key_id
    assert path.read_bytes() == before


def test_an_older_instance_gets_one_at_the_first_need(home: Path, noise: Noise) -> None:
    signer = own_signer(home, noise)
    path = InstancePaths(home).receipts_key
    assert len(path.read_bytes()) == SECRET_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert own_signer(home, noise).key.key_id == signer.key.key_id
    assert names(home) == ["receipts.key"]


def test_rotation_replaces_the_key_for_good(home: Path, noise: Noise) -> None:
    before = own_signer(home, noise)
    after = rotate_key(home, noise)
    assert after.key.key_id != before.key.key_id
    assert own_signer(home, noise).key.key_id == after.key.key_id
    assert names(home) == ["receipts.key"]
    assert stat.S_IMODE(InstancePaths(home).receipts_key.stat().st_mode) == 0o600


def test_a_cut_key_is_refused(home: Path, noise: Noise) -> None:
    InstancePaths(home).receipts_key.write_bytes(b"short")
    with pytest.raises(Problem) as refused:
        own_signer(home, noise)
    assert refused.value.code is Code.STATE_CONFLICT
    assert "5 bytes" in refused.value.public


@pytest.mark.parametrize("verb", [own_signer, rotate_key])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, noise: Noise, verb) -> None:
    with pytest.raises(Problem) as refused:
        verb(tmp_path / "none", noise)
    assert refused.value.code is Code.STATE_CONFLICT
    assert "receipts.key cannot be written" in refused.value.public


def test_a_file_that_appears_is_whole_and_the_first_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert appear_once(path, b"first")
    assert not appear_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_what_a_crash_left_beside_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    put_in_place(path, b"first")
    for left in tmp_path.glob("*.partial"):
        raise AssertionError(left)
    put_in_place(path, b"second")
    assert path.read_bytes() == b"second"


def test_a_secret_is_never_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert write_once(path, b"first")
    assert not write_once(path, b"second")
    assert path.read_bytes() == b"first"
