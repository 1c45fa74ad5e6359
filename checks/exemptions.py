"""Every place where a rule does not hold, with its reason; one that nothing needs fails."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from checks.source import Finding


@dataclass(frozen=True)
class Exemption:
    """``path`` and ``subject`` may hold ``*``; ``reason`` is what a reviewer would ask for."""

    rule: str
    path: str
    subject: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        return (
            self.rule == finding.rule
            and fnmatchcase(finding.path, self.path)
            and fnmatchcase(finding.subject, self.subject)
        )


EXEMPTIONS: tuple[Exemption, ...] = (
    Exemption(
        "parameters",
        "tokenbooth/cli/*.py",
        "*",
        "the options of a command are the parameters of its function",
    ),
    Exemption(
        "class-length", "tokenbooth/core/codes.py", "Code", "one linear table of all error codes"
    ),
    Exemption(
        "file-length", "tokenbooth/core/codes.py", "*", "one linear table of all error codes"
    ),
    Exemption("broad-except", "tokenbooth/edge/front.py", "Front._answered", "the request edge"),
    Exemption("dead", "tokenbooth/edge/asgi.py", "AsgiFront", "for servers of other people"),
    Exemption(
        "file-length",
        "tokenbooth/config.py",
        "*",
        "one table of all settings",
    ),
    Exemption("broad-except", "tokenbooth/workers/loop.py", "run_loop", "the worker loop"),
    Exemption("broad-except", "tokenbooth/gateway/teller.py", "Teller._run", "a worker loop"),
    Exemption(
        "broad-except",
        "tokenbooth/bookkeeper/desk.py",
        "_answer",
        "the bookkeeper's loop: its gateway gets the error as it would have got it at home",
    ),
    Exemption(
        "broad-except",
        "tokenbooth/bookkeeper/fork.py",
        "_be_bookkeeper",
        "the end of a process: nobody above may see what ended it",
    ),
    Exemption(
        "broad-except",
        "tokenbooth/money/journal/disk_thread.py",
        "DiskThread._work",
        "the loop of the journal's thread: whoever waits gets the error",
    ),
    Exemption(
        "unbounded-queue",
        "tokenbooth/money/journal/disk_thread.py",
        "DiskThread.__init__",
        "holds a sync, a prune and an end at most; a bounded queue costs more than the work",
    ),
    Exemption(
        "broad-except",
        "tokenbooth/gateway/recovery.py",
        "_Books.take",
        "the loop over what a crash left: one call that cannot be booked must not lose the others",
    ),
    Exemption(
        "broad-except",
        "tokenbooth/engines/static/table.py",
        "_reader",
        "the package raises a bare Exception for a file that is no tokenizer",
    ),
    Exemption(
        "broad-except",
        "tokenbooth/proving/simulator/loop.py",
        "Job.run",
        "a simulated thread: whoever waits for the job gets its error",
    ),
    Exemption(
        "broad-except",
        "tokenbooth/store/sqlite.py",
        "_Lane.*",
        "the loop of the store's thread: each waiting verb gets its error, the thread lives on",
    ),
    Exemption(
        "broad-except",
        "tokenbooth/proving/simulator/loop.py",
        "Job.run",
        "an actor of a simulated life: whatever it raises is what is looked for",
    ),
    Exemption(
        "class-length",
        "tokenbooth/money/journal/file.py",
        "Journal",
        "three steps of one order over one buffer and one file: two classes would share all of it",
    ),
    Exemption(
        "class-length",
        "tests/support/replica.py",
        "Replica",
        "one gateway process as tests see it: its verbs share its pool, journal and calls",
    ),
    Exemption(
        "class-length",
        "tests/support/ledger_machine.py",
        "LedgerMachine",
        "the rules of one state machine are the methods of one class",
    ),
    Exemption(
        "built-sql",
        "tokenbooth/store/sqlite.py",
        "connect_file",
        "PRAGMA takes no bound parameters; the names are constants of the file",
    ),
    Exemption(
        "built-sql",
        "tokenbooth/store/migrations/versions/*.py",
        "*",
        "a revision makes DDL of its own constants; DDL takes no bound parameters",
    ),
    Exemption(
        "import-in-function",
        "tokenbooth/store/postgres.py",
        "_engine",
        "SQLAlchemy's asyncio part needs greenlet, which only the extra postgres brings",
    ),
    Exemption(
        "connection",
        "tokenbooth/engines/llamacpp/worker.py",
        "*",
        "the engine inside the same child renders and splits a prompt only over its loopback port",
    ),
    Exemption(
        "connection",
        "tokenbooth/engines/llamacpp/sight.py",
        "*",
        "as the worker: only over the loopback port of the engine in the same child",
    ),
    Exemption("file-length", "tokenbooth/config.py", "*", "one table of all settings"),
    Exemption(
        "names",
        "*",
        "*[dD][aA][tT][aA]*[tT][eE][rR][mM][sS]*",
        "terms of data use have no other name in this field",
    ),
    Exemption(
        "names",
        "tokenbooth/content/files/values.py",
        "USER_DATA",
        "the purpose of a file is called user_data by its API",
    ),
    Exemption(
        "names",
        "tokenbooth/engines/upstream/sse.py",
        "*data",
        "the field of the event stream format is called data",
    ),
)


def remaining(
    findings: Iterable[Finding], exemptions: Iterable[Exemption] = EXEMPTIONS
) -> list[Finding]:
    """The findings that no exemption covers."""
    kept = tuple(exemptions)
    return [found for found in findings if not any(e.covers(found) for e in kept)]


def idle(
    findings: Iterable[Finding], exemptions: Iterable[Exemption] = EXEMPTIONS
) -> list[Exemption]:
    """The exemptions that cover nothing and should be removed."""
    seen = tuple(findings)
    return [e for e in exemptions if not any(e.covers(found) for found in seen)]
