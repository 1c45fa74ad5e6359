"""The parent of a fleet: members that never stand, die again and again, or do not end."""

import subprocess
import sys
import textwrap

import pytest

SETTING = """
    import os, signal, sys, time
    from tokenbooth.fleet import supervisor as module
    from tokenbooth.fleet.supervisor import Member, Supervisor

    module.pause_s = lambda failures: 0

    class Log:
        def event(self, name, **fields): ...
        def fault(self, name, error=None, **fields):
            print(name, fields["process"], fields["status"], flush=True)

    def stands(birth):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        birth.tell_ready()
        signal.sigwait([signal.SIGTERM])

    def stubborn(birth):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        birth.tell_ready()
        time.sleep(60)

    def breaks(birth):
        raise ValueError("on purpose")

    def dies(birth):
        birth.tell_ready()
        os._exit(7)

    def serve(work, ready=lambda: None, end_wait_max_s=20):
        status = Supervisor(
            Member("control", stands), [Member("worker", work)], Log(), end_wait_max_s
        ).run(ready)
        print("status", status)

    def stop():
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ("serve(stands, stop)", "status 0"),
        ("serve(breaks)", "process_lost worker 1\nstatus 1"),
        ("serve(dies)", "process_lost worker 7\n" * 8 + "status 1"),
        ("serve(stubborn, stop, 0.2)", "status 1"),
    ],
)
def test_what_becomes_of_a_fleet(scene: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SETTING) + scene],
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.decode().strip() == said
    assert (b"on purpose" in done.stderr) is ("breaks" in scene)
