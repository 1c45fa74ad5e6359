"""Every finding names what was found and, where something is wrong, its cure."""

import socket
from pathlib import Path

import pytest

from tests.support.stores import fresh_options
from tests.unit.control.conftest import Noise
from tokenbooth.control import checkup
from tokenbooth.control.instance import InstancePaths
from tokenbooth.control.setup import init_instance
from tokenbooth.store.options import StoreOptions


def test_python_is_old_or_new_enough() -> None:
    assert checkup.check_python((3, 11, 0)).ok
    assert checkup.check_python().ok
    old = checkup.check_python((3, 10, 9))
    assert not old.ok
    assert "3.11" in old.cure


@pytest.mark.parametrize("present", [True, False])
def test_one_engine_is_enough(present: bool) -> None:
    engine, *others = checkup.check_packages(lambda name: present and name == "xllamacpp")
    assert engine.ok is present
    assert ("pip install" in engine.cure) is not present
    assert all(other.ok for other in others)
    assert all("pip install" in other.text for other in others)


def test_installed_extras_are_told() -> None:
    assert all(finding.ok for finding in checkup.check_packages(lambda name: True))


def test_an_empty_directory_is_no_booth(tmp_path: Path) -> None:
    (finding,) = checkup.check_directory(tmp_path)
    assert (finding.ok, finding.cure) == (False, "tokenbooth init")


def test_open_modes_are_found_with_the_command_that_closes_them(tmp_path: Path) -> None:
    home = tmp_path / "booth"
    init_instance(home, StoreOptions(f"sqlite:///{home}/t.db"), "", Noise())
    assert all(finding.ok for finding in checkup.check_directory(home))
    pepper = InstancePaths(home).pepper
    pepper.chmod(0o640)
    (wrong,) = [f for f in checkup.check_directory(home) if not f.ok]
    assert wrong.text == "0640"
    assert wrong.cure == f"chmod go= {pepper}"


def test_the_schema_is_compared_with_the_programs(tmp_path: Path) -> None:
    assert checkup.check_schema_of(fresh_options(tmp_path)).ok
    none = checkup.check_schema_of(StoreOptions(f"sqlite:///{tmp_path}/none.db"))
    assert (none.ok, none.cure) == (False, "tokenbooth init")


def test_a_database_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_bytes(b"no database at all, but long enough to be read as one" * 40)
    finding = checkup.check_schema_of(StoreOptions(f"sqlite:///{tmp_path}/t.db"))
    assert not finding.ok
    assert finding.cure


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1")])
def test_a_taken_port_is_found(family: int, host: str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not checkup.check_port(host, port).ok
    assert checkup.check_port(host, 0).ok


def test_a_stray_path_file_is_found(tmp_path: Path) -> None:
    assert checkup.check_path_files(["", str(tmp_path), str(tmp_path / "none")]).ok
    (tmp_path / "evil.pth").write_text("import os")
    found = checkup.check_path_files([str(tmp_path)])
    assert not found.ok
    assert "evil.pth" in found.text


def test_path_files_of_installed_packages_belong() -> None:
    assert isinstance(checkup.check_path_files().ok, bool)


def test_the_document_is_fine_only_when_every_finding_is() -> None:
    good = checkup.Finding("a", ok=True, text="t")
    bad = checkup.Finding("b", ok=False, text="t", cure="c")
    assert checkup.findings_json([good])["ok"] is True
    assert checkup.findings_json([good, bad])["ok"] is False
