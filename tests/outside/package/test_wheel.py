"""What is in the wheel, and what is not."""

import sys
import tarfile
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from tests.outside.package.conftest import ROOT
from tokenbooth import __version__

PACKAGE = ROOT / "tokenbooth"
LEFTOVERS = {".pyc", ".db", ".log", ".gguf", ".orig", ".rej"}


@pytest.fixture(scope="module")
def files(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(files: dict[str, bytes]) -> Message:
    return Parser().parsestr(files[f"tokenbooth-{__version__}.dist-info/METADATA"].decode())


def test_it_fits_every_machine(wheel: Path) -> None:
    assert wheel.name == f"tokenbooth-{__version__}-py3-none-any.whl"


def test_it_holds_the_whole_package_and_nothing_beside_it(files: dict[str, bytes]) -> None:
    tops = {PurePosixPath(name).parts[0] for name in files}
    assert tops == {"tokenbooth", f"tokenbooth-{__version__}.dist-info"}
    ours = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    assert ours == {name for name in files if name.endswith(".py")}
    assert not [name for name in files if PurePosixPath(name).suffix in LEFTOVERS]
    assert not [name for name in files if PurePosixPath(name).name.startswith("test")]


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "store/migrations/env.py",
        "proving/bench/gateway/load.c",
        "proving/bench/gateway/mock.c",
    ],
)
def test_what_is_easily_forgotten_is_there(files: dict[str, bytes], name: str) -> None:
    assert files[f"tokenbooth/{name}"] == (PACKAGE / name).read_bytes()


def test_every_migration_is_there(files: dict[str, bytes]) -> None:
    folder = "tokenbooth/store/migrations/versions/"
    here = {path.name for path in (ROOT / folder).glob("r*.py")}
    assert {n.removeprefix(folder) for n in files if n.startswith(f"{folder}r")} == here
    assert len(here) >= 2


def test_the_license_travels_with_it(files: dict[str, bytes], metadata: Message) -> None:
    kept = files[f"tokenbooth-{__version__}.dist-info/licenses/LICENSE"]
    assert kept == (ROOT / "LICENSE").read_bytes()
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]


def test_the_metadata_names_python_extras_and_the_page(metadata: Message) -> None:
    assert metadata["Name"] == "tokenbooth"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra") or ()) == {
        "embedded", "llamacpp", "media", "openai", "postgres", "up", "video",
    }  # fmt: skip
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "# Tokenbooth" in str(metadata.get_payload())


def test_no_engine_and_no_client_is_in_the_base_install(metadata: Message) -> None:
    needed = [n for n in metadata.get_all("Requires-Dist") or () if "extra ==" not in n]
    assert needed
    heavy = ("openvino", "xllamacpp", "tokenizers", "openai", "asyncpg", "numpy")
    assert not [name for name in needed if name.startswith(heavy)]


def test_the_command_is_its_only_program(files: dict[str, bytes]) -> None:
    entries = files[f"tokenbooth-{__version__}.dist-info/entry_points.txt"].decode()
    assert entries.split() == ["[console_scripts]", "tokenbooth", "=", "tokenbooth.cli.app:main"]


def test_no_place_of_this_machine_is_in_it(files: dict[str, bytes]) -> None:
    places = {str(ROOT), str(Path.home()), sys.prefix, sys.base_prefix}
    found = [
        (name, place)
        for name, content in files.items()
        for place in places
        if f"{place}/".encode() in content
    ]
    assert not found


def test_the_source_archive_holds_what_a_checkout_needs(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        inside = {PurePosixPath(*PurePosixPath(n).parts[1:]).as_posix() for n in archive.getnames()}
    needed = {"LICENSE", "README.md", "pyproject.toml", "locks/up.txt", "locks/test.txt"}
    needed |= {"scripts/up", "scripts/test", "scripts/check", "scripts/environment.py"}
    assert needed <= inside
    assert "tests/outside/package/test_wheel.py" in inside
    assert not [name for name in inside if name.startswith((".venv", ".git/", ".mypy"))]
