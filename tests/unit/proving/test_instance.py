"""What a private instance hands to its processes; the processes themselves are tested outside."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.wire_server import answers, body_answer, threaded
from tokenbooth.proving import instance as module
from tokenbooth.proving import replica as replica_module
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills.engine import free_port
from tokenbooth.proving.instance import InstanceFault, PrivateInstance, is_ready
from tokenbooth.proving.replica import Replica


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were run, instead of the product: a script that plays ``played``."""
    run: list[list[str]] = []

    def own_command(*arguments: str) -> list[str]:
        run.append(list(arguments))
        return [sys.executable, "-c", PLAYED[arguments[0]]]

    monkeypatch.setattr(module, "own_command", own_command)
    monkeypatch.setattr(replica_module, "own_command", own_command)
    return run


PLAYED = {
    "serve": "print('cannot serve'); raise SystemExit(3)",
    "good": "print('{\"a\": 1}')",
    "list": "print('[1]')",
    "text": "print('no json')",
    "bad": "import sys; print('{\"error\": 1}'); sys.stderr.write('why not'); raise SystemExit(1)",
    "slow": "import time; time.sleep(60)",
}


def test_settings_become_variables_and_the_port_is_free_by_default(tmp_path: Path) -> None:
    made = PrivateInstance(
        tmp_path, store_url="postgresql://x", settings={"edge.drain_max_s": "7", "edge.port": "81"}
    )
    assert made.variables == {
        "TOKENBOOTH_EDGE__HOST": "127.0.0.1",
        "TOKENBOOTH_EDGE__PORT": "81",
        "TOKENBOOTH_EDGE__DRAIN_MAX_S": "7",
        "TOKENBOOTH_STORE__URL": "postgresql://x",
    }
    assert PrivateInstance(tmp_path).variables["TOKENBOOTH_EDGE__PORT"] == "0"


def test_settings_are_read_as_the_instance_reads_them(tmp_path: Path) -> None:
    made = PrivateInstance(tmp_path, settings={"gateway.run_max_s": "33"})
    assert made.settings().gateway.run_max_s == 33
    assert made.settings().data_dir == tmp_path
    assert made.settings().store.url == f"sqlite:///{tmp_path}/tokenbooth.db"


def test_the_directory_is_made(tmp_path: Path) -> None:
    PrivateInstance(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_command_runs_on_the_own_directory_and_gives_its_document(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    made = PrivateInstance(tmp_path)
    assert made.command("good", "x") == {"a": 1}
    assert commands[-1] == ["good", "x", "--json", "--data-dir", str(tmp_path)]


def test_a_command_that_fails_is_told_with_its_words(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    made = PrivateInstance(tmp_path)
    with pytest.raises(InstanceFault, match=r"(?s)bad.*exited 1.*why not"):
        made.command("bad")
    assert made.command_status("bad") == (1, {"error": 1}, "why not")
    assert len(commands) == 3


@pytest.mark.parametrize(("name", "found"), [("list", {"data": [1]}), ("text", {})])
def test_a_document_that_is_no_object_is_wrapped_or_empty(
    name: str, found: dict[str, object], tmp_path: Path, commands: list[list[str]]
) -> None:
    assert PrivateInstance(tmp_path).command_status(name) == (0, found, "")
    assert commands[-1][0] == name


def test_a_command_without_an_end_is_ended(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND_WAIT_S", 0.05)
    with pytest.raises(InstanceFault, match="did not end") as refused:
        PrivateInstance(tmp_path).command("slow")
    assert isinstance(refused.value.__cause__, subprocess.TimeoutExpired)
    assert commands[-1][0] == "slow"


def test_a_server_that_ends_at_once_shows_its_log(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    made = PrivateInstance(tmp_path)
    with pytest.raises(InstanceFault, match=r"(?s)ended at its start.*cannot serve"):
        made.start()
    assert commands == [["serve", "--data-dir", str(tmp_path)]]
    assert not made.running


def test_a_server_that_is_never_ready_is_told_after_its_bound(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLAYED, "serve", PLAYED["slow"])
    made = PrivateInstance(tmp_path)
    with pytest.raises(InstanceFault, match="not ready within 0 s"):
        made.start(within_s=0)
    assert made.running
    made.kill()
    assert not made.running
    assert len(commands) == 1


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False), (404, False)])
def test_ready_is_what_readyz_says(status: int, ready: bool) -> None:
    with threaded(answers(body_answer(b"{}", status))) as address:
        assert is_ready(address) is ready


def test_what_is_no_server_is_not_ready() -> None:
    with threaded(answers(b"hello\r\n\r\n")) as address:
        assert not is_ready(address)
    assert not is_ready(Address("127.0.0.1", free_port()))


def test_several_replicas_have_names_and_logs_of_their_own(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    made = PrivateInstance(tmp_path, replicas=3)
    assert [replica.name for replica in made.replicas] == ["main", "r2", "r3"]
    serve = ["serve", "--data-dir", str(tmp_path)]
    assert commands == [serve, [*serve, "--replica", "r2"], [*serve, "--replica", "r3"]]
    assert len({replica.log_path for replica in made.replicas}) == 3


def test_one_replica_that_cannot_serve_is_told(tmp_path: Path, commands: list[list[str]]) -> None:
    made = PrivateInstance(tmp_path, replicas=2)
    with pytest.raises(InstanceFault, match="cannot serve"):
        made.start()
    made.kill()
    assert len(commands) == 2


def test_a_server_that_never_ran_has_no_address_and_nothing_to_stop(tmp_path: Path) -> None:
    replica = Replica(tmp_path, {})
    assert (replica.pid, replica.running, replica.stop()) == (None, False, None)
    with pytest.raises(InstanceFault, match="never started"):
        assert replica.address


def test_an_instance_ends_with_the_first_status_that_is_not_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = PrivateInstance(tmp_path, replicas=3)
    for statuses, whole in (((0, 0, 0), 0), ((0, -9, 1), -9), ((0, None, 0), None)):
        left = iter(statuses)
        monkeypatch.setattr(Replica, "stop", lambda _self, _within_s, left=left: next(left))
        assert made.stop() == whole
