import os
import signal
import sys
from pathlib import Path

import pytest

from tokenbooth.proving.child import Child, clean_environment, own_command

READY = "import sys,signal,time;print('ready',flush=True);"
SLEEPER = READY + "time.sleep(60)"
STUBBORN = "import signal;signal.signal(signal.SIGTERM,signal.SIG_IGN);" + SLEEPER
POLITE = "import signal,sys;signal.signal(signal.SIGTERM,lambda *_:sys.exit(0));" + SLEEPER


def child_of(code: str, directory: Path) -> Child:
    return Child([sys.executable, "-c", code], directory / "log", clean_environment({}))


def until_ready(child: Child) -> None:
    while "ready" not in child.log_tail():
        assert child.running


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_ends_with_its_block(tmp_path: Path) -> None:
    with child_of(SLEEPER, tmp_path) as child:
        pid = child.pid
        assert child.running
    assert pid is not None
    assert not child.running
    assert not is_alive(pid)


def test_a_child_ends_when_the_block_fails(tmp_path: Path) -> None:
    child = child_of(SLEEPER, tmp_path)
    with pytest.raises(ZeroDivisionError), child:
        raise ZeroDivisionError
    assert not child.running


def test_a_polite_child_says_how_it_ended(tmp_path: Path) -> None:
    with child_of(POLITE, tmp_path) as child:
        until_ready(child)
        assert child.stop() == 0


def test_a_stubborn_child_is_killed(tmp_path: Path) -> None:
    with child_of(STUBBORN, tmp_path) as child:
        until_ready(child)
        assert child.stop(within_s=0) == -signal.SIGKILL


def test_a_child_can_be_killed_and_started_again(tmp_path: Path) -> None:
    with child_of(SLEEPER, tmp_path) as child:
        first = child.pid
        child.kill()
        assert not child.running
        child.start()
        assert child.running
        assert child.pid != first


def test_the_children_of_a_child_end_with_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    grandchild = (
        f"import time;held=open({str(pipe)!r},'w');print('ready',flush=True);time.sleep(60)"
    )
    code = f"import subprocess,sys;subprocess.run([sys.executable,'-c',{grandchild!r}])"
    held = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with child_of(code, tmp_path) as child:
        until_ready(child)
    os.set_blocking(held, True)
    # The read returns only when nobody holds the other end any more.
    assert os.read(held, 1) == b""
    os.close(held)


def test_stopping_what_was_never_started_is_nothing(tmp_path: Path) -> None:
    child = child_of(SLEEPER, tmp_path)
    assert child.stop() is None
    child.kill()
    assert (child.pid, child.running, child.log_tail()) == (None, False, "")


def test_stopping_twice_gives_the_same_status(tmp_path: Path) -> None:
    with child_of("raise SystemExit(3)", tmp_path) as child:
        while child.running:
            pass
        assert (child.stop(), child.stop()) == (3, 3)


def test_output_of_every_start_is_kept(tmp_path: Path) -> None:
    with child_of("print('said')", tmp_path) as child:
        while child.running:
            pass
        child.start()
        while child.running:
            pass
        assert child.log_tail().split() == ["said", "said"]


def test_a_child_runs_once_at_a_time(tmp_path: Path) -> None:
    with child_of(SLEEPER, tmp_path) as child, pytest.raises(AssertionError, match="once"):
        child.start()


def test_settings_of_another_instance_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENBOOTH_STORE__URL", "postgresql://production")
    monkeypatch.setenv("TOKENBOOTH_DATA_DIR", "/somewhere")
    monkeypatch.setenv("OTHER", "kept")
    made = clean_environment({"TOKENBOOTH_EDGE__PORT": "0"})
    own = {name: value for name, value in made.items() if name.startswith("TOKENBOOTH_")}
    assert own == {"TOKENBOOTH_EDGE__PORT": "0"}
    assert made["OTHER"] == "kept"


def test_the_own_command_runs_this_interpreter() -> None:
    assert own_command("serve", "--x") == [sys.executable, "-m", "tokenbooth", "serve", "--x"]
