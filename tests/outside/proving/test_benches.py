"""The benchmarks, played for a moment: what they count is exact. No time is judged."""

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.outside.conftest import Databases
from tokenbooth.proving.child import clean_environment, own_command

RUN_WAIT_S = 150


def bench(*arguments: str) -> Any:
    """The document of one benchmark that found its books exact."""
    done = subprocess.run(
        own_command("bench", *arguments, "--json"),
        env=clean_environment({}),
        capture_output=True,
        timeout=RUN_WAIT_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    return json.loads(done.stdout)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> list[str]:
    """The options that choose the store."""
    if request.param == "sqlite":
        return []
    databases: Databases = request.getfixturevalue("postgres")
    return ["--store", databases.migrated().url]


def test_one_hot_account_is_booked_to_the_nano_both_ways(store: list[str], tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    few = ["--replicas", "3", "--callers", "3", "--seconds", "0.3", "--turns", "1"]
    found = bench("hot-account", *few, *store, "--plot", str(plot))
    assert found["exact"]
    assert found["problems"] == []
    assert found["spent_nano"] == found["charges_nano"] > 0
    each = [found["ways"][way]["calls"] for way in ("leased", "by_transaction")]
    assert min(each) > 0
    assert found["http"]["failed"] == 0
    assert found["calls"] == sum(each) + found["http"]["calls"]
    assert len(found["ways"]["leased"]["each_gateway_cpu_us"]) == 3
    assert (found["ways"]["leased"]["database_cpu_us"] is None) == (not store)
    assert "One hot account, 3 gateways" in "".join(ET.parse(plot).getroot().itertext())


def test_billing_books_every_call_of_one_side_and_none_of_the_other() -> None:
    found = bench("billing", "--seconds", "0.3", "--turns", "1", "--rate", "20", "--parallel", "3")
    assert found["exact"]
    on, off = found["books"]
    assert (on["side"], off["side"]) == ("on", "off")
    assert on["records"] == on["calls"] > 0
    assert on["spent_nano"] == on["charges_nano"] > 0
    assert off["calls"] > 0
    assert (off["records"], off["spent_nano"]) == (0, 0)
    for load in ("closed_loop", "fixed_rate"):
        told = found["loads"][load]
        assert told["failed"] == 0
        assert min(told["calls"].values()) > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["billing", "--store", "postgresql://nobody@/none"],
        ["hot-account", "--replicas", "99"],
    ],
)
def test_what_cannot_be_measured_is_refused_with_words(arguments: list[str]) -> None:
    done = subprocess.run(
        own_command("bench", *arguments, "--json"),
        env=clean_environment({}),
        capture_output=True,
        timeout=RUN_WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "invalid_value"


def test_translation_is_measured_for_every_dialect_and_stream() -> None:
    found = bench("translate", "--steps", "50", "--windows", "2")
    assert found["exact"]
    assert (found["base"], found["windows"]) == ("openai_chat", 2)
    for stream in found["streams"].values():
        assert set(stream) == {"openai_chat", "openai_responses", "anthropic_messages"}
        assert stream["openai_chat"]["over_base_ns"] == 0
        assert all(each["step_ns"] > 0 for each in stream.values())
