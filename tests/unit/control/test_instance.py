"""A data directory is made once, for its owner only, and never overwritten."""

import stat
from pathlib import Path

import pytest

from tests.unit.control.conftest import Noise
from tokenbooth.control.instance import (
    SECRET_BYTES,
    InstancePaths,
    is_initialized,
    read_secrets,
)
from tokenbooth.control.setup import init_instance
from tokenbooth.control.up_key import keep_up_key, read_up_key
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.options import StoreOptions


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "booth"


def store_of(home: Path) -> StoreOptions:
    return StoreOptions(f"sqlite:///{home}/tokenbooth.db")


def make(home: Path, text: str = "# settings\n") -> tuple[str, ...]:
    return init_instance(home, store_of(home), text, Noise()).created


def test_everything_is_made_for_the_owner_only(home: Path) -> None:
    assert not is_initialized(home)
    created = make(home)
    paths = InstancePaths(home)
    assert is_initialized(home)
    assert {mode(home), mode(paths.secrets), mode(paths.weights)} == {0o700}
    assert {mode(p) for p in (paths.pepper, paths.sealing_key, paths.config)} == {0o600}
    assert mode(home / "tokenbooth.db") == 0o600
    assert set(created) >= {"secrets/pepper", "secrets/sealing.key", "tokenbooth.toml", "schema"}


def test_a_second_run_changes_nothing(home: Path) -> None:
    make(home)
    before = read_secrets(home)
    assert make(home, "# other\n") == ()
    assert read_secrets(home) == before
    assert (home / "tokenbooth.toml").read_text() == "# settings\n"


def test_the_two_secrets_differ_and_never_show(home: Path) -> None:
    make(home)
    secrets = read_secrets(home)
    assert secrets.pepper != secrets.sealing_key
    assert len(secrets.pepper) == len(secrets.sealing_key) == SECRET_BYTES
    assert repr(secrets.pepper) not in repr(secrets)


def test_an_existing_directory_keeps_its_mode(home: Path) -> None:
    home.mkdir(mode=0o755)
    make(home)
    assert mode(home) == 0o755
    assert mode(home / "secrets") == 0o700


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(Problem) as caught:
        make(blocked / "booth")
    assert caught.value.code is Code.STATE_CONFLICT
    assert str(tmp_path) in caught.value.public


def test_without_set_up_the_cure_is_named(home: Path) -> None:
    with pytest.raises(Problem) as caught:
        read_secrets(home)
    assert "tokenbooth init" in caught.value.public


def test_a_cut_secret_is_refused(home: Path) -> None:
    make(home)
    InstancePaths(home).pepper.write_bytes(b"short")
    with pytest.raises(Problem) as caught:
        read_secrets(home)
    assert "5 bytes" in caught.value.public


def test_an_unreadable_secret_is_refused(home: Path) -> None:
    make(home)
    path = InstancePaths(home).pepper
    path.unlink()
    path.mkdir()
    with pytest.raises(Problem) as caught:
        read_secrets(home)
    assert "cannot be read" in caught.value.public


def test_a_dangling_link_is_never_followed(home: Path, tmp_path: Path) -> None:
    secrets = InstancePaths(home).secrets
    secrets.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    (secrets / "pepper").symlink_to(elsewhere)
    make(home)
    assert not elsewhere.exists()


def test_the_key_of_up_is_kept_for_its_owner_and_replaced_in_one_step(home: Path) -> None:
    make(home)
    assert read_up_key(home) is None
    keep_up_key(home, "tb_live_first")
    keep_up_key(home, "tb_live_second")
    assert read_up_key(home) == "tb_live_second"
    assert mode(InstancePaths(home).up_key) == 0o600
    assert list(InstancePaths(home).secrets.glob("*.partial")) == []


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"a\nb", b"___"])
def test_a_spoilt_key_file_is_no_key(home: Path, content: bytes) -> None:
    make(home)
    InstancePaths(home).up_key.write_bytes(content)
    assert read_up_key(home) is None


def test_a_lost_pepper_is_not_replaced_under_keys_that_need_it(home: Path) -> None:
    make(home)
    pepper = InstancePaths(home).pepper
    kept = pepper.read_bytes()
    pepper.unlink()
    with pytest.raises(Problem) as refused:
        make(home)
    assert refused.value.code is Code.STATE_CONFLICT
    assert str(pepper) in refused.value.public
    assert not pepper.exists()
    pepper.write_bytes(kept)
    assert make(home) == ()
