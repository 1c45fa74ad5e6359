"""The lock files hold what ``pyproject.toml`` asks for, and nothing of a machine."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
BASE = PYPROJECT["project"]["dependencies"]
BUILD = PYPROJECT["build-system"]["requires"]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ;.*)? \\$")


def pins(name: str) -> dict[str, Version]:
    lines = (ROOT / "locks" / f"{name}.txt").read_text().splitlines()
    return {hit[1]: Version(hit[2]) for line in lines if (hit := PIN.match(line))}


def wanted(name: str) -> list[str]:
    if name == "up":
        return [*BASE, *BUILD, *EXTRAS["embedded"], *EXTRAS["openai"]]
    every = [line for extra, lines in EXTRAS.items() if extra != "up" for line in lines]
    return [*BASE, *BUILD, *every, *PYPROJECT["dependency-groups"]["dev"]]


@pytest.mark.parametrize("name", ["up", "test"])
def test_each_direct_dependency_is_pinned_within_its_bounds(name: str) -> None:
    pinned = pins(name)
    for line in wanted(name):
        asked = Requirement(line)
        assert asked.name in pinned, f"{asked.name} is not in locks/{name}.txt; run scripts/lock"
        assert pinned[asked.name] in asked.specifier, f"{asked}: run scripts/lock"


@pytest.mark.parametrize("name", ["up", "test"])
def test_every_pin_has_hashes_and_every_line_is_a_pin(name: str) -> None:
    lines = (ROOT / "locks" / f"{name}.txt").read_text().splitlines()
    pinned = ""
    hashes: dict[str, int] = {}
    for line in lines:
        if hit := PIN.match(line):
            pinned = hit[1]
            hashes[pinned] = 0
        elif re.match(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$", line):
            hashes[pinned] += 1
        else:
            assert re.match(r"^ *#", line), line
    assert hashes
    assert not [package for package, count in hashes.items() if count == 0]


@pytest.mark.parametrize("name", ["up", "test"])
def test_a_lock_names_no_index_and_no_machine(name: str) -> None:
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    assert "://" not in text
    assert " @ " not in text
    assert not re.search(r"(?<![\w.])/[a-z]+/", text)
    assert "tokenbooth==" not in text


def test_what_is_tested_is_what_runs() -> None:
    tested = pins("test")
    assert {package: tested.get(package) for package in pins("up")} == pins("up")
