"""What a fleet is made of, and what it refuses before any process is started."""

import asyncio
import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.fleets import until
from tokenbooth.config import Settings, load_settings
from tokenbooth.control.serving import serving_lock
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.fleet import members as members_module
from tokenbooth.fleet import run as module
from tokenbooth.fleet.members import Plan, check_names, members, with_port
from tokenbooth.fleet.rules import worker_name
from tokenbooth.fleet.supervisor import Birth
from tokenbooth.gateway.options import REPLICA_CHARACTERS_MAX, GatewayOptions


def settings_of(home: Path, replica: str = "main", port: int = 0) -> Settings:
    return load_settings(home, {}).settings.listening("127.0.0.1", port, replica)


class Parent:
    """Stands in for the supervisor: keeps what it is made of, and says at once that all stand."""

    made: "Parent"
    begins = True

    def __init__(self, control, workers, log, end_wait_max_s) -> None:
        self.control, self.workers, self.log = control, workers, log
        self.end_wait_max_s = end_wait_max_s
        Parent.made = self

    def run(self, ready) -> int:
        if self.begins:
            ready()
        return 5


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A data directory that was set up, in a process that may be forked."""
    monkeypatch.setattr(module, "read_secrets", lambda data_dir: None)
    monkeypatch.setattr(module, "Supervisor", Parent)
    monkeypatch.setattr(module.threading, "active_count", lambda: 1)
    monkeypatch.setattr(module.gc, "freeze", lambda: None)
    return tmp_path


@pytest.mark.parametrize("workers", [2, 9, 10, 64])
def test_the_longest_name_that_fits_is_taken_and_one_more_letter_is_refused(tmp_path, workers):
    spare = REPLICA_CHARACTERS_MAX - len(f"-w{workers}")
    check_names(settings_of(tmp_path, "r" * spare), workers)
    with pytest.raises(Problem) as caught:
        check_names(settings_of(tmp_path, "r" * (spare + 1)), workers)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "gateway.replica")
    assert f"at most {spare}." in caught.value.public
    assert f"-w{workers}" in caught.value.public


@pytest.mark.parametrize("workers", [2, 64])
def test_every_name_that_is_taken_makes_names_that_replicas_may_have(tmp_path, workers):
    replica = "r" * (REPLICA_CHARACTERS_MAX - len(f"-w{workers}"))
    check_names(settings_of(tmp_path, replica), workers)
    names = [worker_name(replica, number) for number in range(1, workers + 1)]
    assert [GatewayOptions(replica=name).replica for name in names] == names
    assert len(set(names)) == workers
    _, crew = members(Plan(settings_of(tmp_path, replica), workers, tmp_path))
    assert len(crew) == workers


@pytest.mark.parametrize("replica", ["", "r" * 41, "A", "-a", "a_b", "a.b", "a\n", "é", "../x"])
def test_a_name_that_is_none_is_refused_whatever_is_wrong_with_it(replica):
    with pytest.raises(Problem) as caught:
        GatewayOptions(replica=replica)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "gateway.replica")
    assert "1 to 40 lower-case letters, digits and hyphens" in caught.value.public


@pytest.mark.parametrize("replica", ["a", "0", "r" * 40, "main-2", "a--"])
def test_a_name_of_letters_digits_and_hyphens_is_taken(replica):
    assert GatewayOptions(replica=replica).replica == replica


def test_a_name_too_long_is_refused_before_anything_is_touched(home, monkeypatch):
    def touched(*_):
        raise AssertionError("it went on")

    monkeypatch.setattr(module, "read_secrets", touched)
    with pytest.raises(Problem) as caught:
        module.run_fleet(settings_of(home, "r" * 38), 2, touched)
    assert caught.value.param == "gateway.replica"
    assert list(home.iterdir()) == []


def test_a_fleet_tells_where_it_serves_once_and_returns_its_parent_s_status(home, capsys):
    told = []
    settings = settings_of(home)
    assert module.run_fleet(settings, 3, told.append) == 5
    (serving,) = told
    assert (serving.pid, serving.host) == (os.getpid(), "127.0.0.1")
    assert serving.port > 0
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["workers"], line["port"]) == ("fleet_serving", 3, serving.port)
    made = Parent.made
    assert [each.name for each in (made.control, *made.workers)] == [
        "control",
        "worker 1",
        "worker 2",
        "worker 3",
    ]
    assert made.end_wait_max_s > settings.edge.drain_max_s + settings.till.close_wait_max_s


def test_a_fleet_that_never_stood_told_nobody(home, monkeypatch, capsys):
    monkeypatch.setattr(Parent, "begins", False)
    assert module.run_fleet(settings_of(home), 2, pytest.fail) == 5
    assert capsys.readouterr().err == ""


def test_a_directory_that_is_served_already_is_refused_and_free_again_later(home):
    settings = settings_of(home)
    with (
        serving_lock(home, "main"),
        pytest.raises(Problem, match="serve") as caught,
    ):
        module.run_fleet(settings, 2, pytest.fail)
    assert caught.value.code is Code.STATE_CONFLICT
    for _ in range(2):
        assert module.run_fleet(settings, 2, lambda serving: None) == 5


def test_a_port_that_is_taken_is_refused_and_the_directory_let_go_of(home):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Problem, match=f"Cannot listen on 127.0.0.1:{port}") as caught:
            module.run_fleet(settings_of(home, port=port), 2, pytest.fail)
    assert caught.value.code is Code.STATE_CONFLICT
    with serving_lock(home, "main"):
        assert home.is_dir()


def test_a_process_with_threads_is_not_forked(home, monkeypatch):
    monkeypatch.setattr(module.threading, "active_count", lambda: 2)
    with pytest.raises(AssertionError, match="threads"):
        module.run_fleet(settings_of(home), 2, pytest.fail)


def test_the_log_of_the_parent_is_written_at_once_in_the_format_that_is_set(home, capsys):
    settings = settings_of(home)
    text = replace(settings, log=replace(settings.log, format="text", level="error"))
    module.run_fleet(text, 2, lambda serving: None)
    assert capsys.readouterr().err == ""
    Parent.made.log.fault("process_lost", process="worker 1", status=7)
    assert 'process_lost process="worker 1" status=7' in capsys.readouterr().err
    assert module.DirectLines().put("as it is")
    assert capsys.readouterr().err == "as it is\n"


def test_the_meeting_place_is_private_and_gone_at_the_end(home, monkeypatch):
    seen = []

    def kept(plan):
        seen.append((plan.meeting, plan.meeting.stat().st_mode & 0o777))
        return members(plan)

    monkeypatch.setattr(module, "members", kept)
    module.run_fleet(settings_of(home), 2, lambda serving: None)
    ((meeting, mode),) = seen
    assert mode == 0o700
    assert not meeting.exists()


def test_the_three_sockets_lie_in_the_meeting_place_under_names_of_their_own(tmp_path):
    plan = Plan(settings_of(tmp_path), 2, tmp_path)
    paths = {plan.control_path, plan.hub_path, plan.engines_path}
    assert len(paths) == 3
    assert {Path(path).parent for path in paths} == {tmp_path}


def test_another_port_changes_nothing_else(tmp_path):
    settings = settings_of(tmp_path)
    other = with_port(settings, 4321)
    assert other.edge.port == 4321
    assert with_port(other, settings.edge.port) == settings


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path):
    path = str(tmp_path / "hub")
    members_module._met_at(path).close()
    assert Path(path).exists()
    with members_module._met_at(path) as listener:
        listener.listen()
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(path)


def test_a_member_says_that_it_stands_and_ends_when_its_parent_does(monkeypatch):
    ended = []
    monkeypatch.setattr(members_module.os, "_exit", ended.append)

    async def scenario():
        heard, ready = os.pipe()
        lifeline, parent = os.pipe()
        await members_module._ready(Birth(ready, lifeline))()
        assert os.read(heard, 9) == b"1"
        assert ended == []
        os.close(parent)
        await until(lambda: ended)
        asyncio.get_running_loop().remove_reader(lifeline)
        for each in (heard, ready, lifeline):
            os.close(each)

    asyncio.run(scenario())
    assert set(ended) == {members_module.ORPHANED}


class Booth:
    """A store with models, and engines that are opened."""

    def __init__(self) -> None:
        self.opened = []
        self.store = self.engines = self

    def op(self, actor):
        return actor

    async def read(self, work):
        return work(None)

    async def engine(self, deployment):
        self.opened.append(deployment.id)


def test_an_engine_is_opened_by_the_name_of_its_deployment_or_refused(monkeypatch):
    booth = Booth()
    models = [
        SimpleNamespace(deployments=[SimpleNamespace(id=each) for each in ids])
        for ids in ("ab", "", "c")
    ]
    monkeypatch.setattr(members_module.catalog, "models", lambda op, tx: models)
    asyncio.run(members_module._engine_opened(booth, booth, "c"))
    assert booth.opened == ["c"]
    with pytest.raises(Problem, match="removed") as caught:
        asyncio.run(members_module._engine_opened(booth, booth, "d"))
    assert caught.value.code is Code.ENGINE_NOT_READY
