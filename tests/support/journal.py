"""Records for the journal's tests: plain ones, and any that hypothesis can think of."""

from hypothesis import strategies as st
from msgspec import structs

from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.journal.file import Journal
from tokenbooth.money.journal.values import (
    CallFacts,
    Disk,
    JournalStart,
    Progress,
    Record,
    SettledCall,
    Settlement,
)

JOURNAL_ID = bytes(range(16))
AMOUNTS = st.integers(0, 2**63 - 1)
TEXTS = st.text(max_size=40)
USAGES = st.builds(
    Usage,
    input_tokens=AMOUNTS,
    output_tokens=AMOUNTS,
    cached_input_tokens=st.none() | AMOUNTS,
    reasoning_tokens=AMOUNTS,
    source=st.sampled_from(UsageSource),
)
FACTS = st.builds(
    CallFacts,
    request_id=TEXTS,
    org_id=TEXTS,
    project_id=TEXTS,
    key_id=TEXTS,
    end_customer=st.none() | TEXTS,
    model=TEXTS,
    stream=st.booleans(),
    price_version=TEXTS,
    tier=TEXTS,
    data_terms=TEXTS,
    chain=st.lists(TEXTS, max_size=6).map(tuple),
    held_nano=AMOUNTS,
    input_tokens=AMOUNTS,
    output_tokens=AMOUNTS,
    created_us=AMOUNTS,
)
PROGRESS = st.builds(
    Progress,
    request_id=TEXTS,
    usage=USAGES,
    cost_nano=AMOUNTS,
    held_nano=AMOUNTS,
    first_output_us=st.none() | AMOUNTS,
    at_us=AMOUNTS,
)
SETTLEMENTS = st.builds(
    Settlement,
    request_id=TEXTS,
    outcome=st.sampled_from(Outcome),
    reason=TEXTS,
    usage=USAGES,
    charged=st.booleans(),
    cost_nano=AMOUNTS,
    loss_nano=AMOUNTS,
    held_nano=AMOUNTS,
    started_us=AMOUNTS,
    first_output_us=st.none() | AMOUNTS,
    ended_us=AMOUNTS,
    fingerprint=st.none() | TEXTS,
    deployment_id=st.none() | TEXTS,
)
WHOLES = st.builds(SettledCall, facts=FACTS, settlement=SETTLEMENTS, epoch=AMOUNTS)
RECORDS = FACTS | PROGRESS | SETTLEMENTS | WHOLES

_FACTS = CallFacts(
    request_id="req_1",
    org_id="org_1",
    project_id="proj_1",
    key_id="key_1",
    end_customer=None,
    model="parrot",
    stream=True,
    price_version="price_1",
    tier="standard",
    data_terms="private",
    chain=("balance:org_1", "key:key_1@2026-11"),
    held_nano=1_000,
    input_tokens=10,
    output_tokens=100,
    created_us=5_000,
)


def facts(request_id: str = "req_1", *, stream: bool = True, held_nano: int = 1_000) -> CallFacts:
    return structs.replace(_FACTS, request_id=request_id, stream=stream, held_nano=held_nano)


def progress(
    request_id: str = "req_1", *, cost_nano: int = 300, held_nano: int = 1_000
) -> Progress:
    return Progress(
        request_id=request_id,
        usage=Usage(10, 3),
        cost_nano=cost_nano,
        held_nano=held_nano,
        first_output_us=6_000,
        at_us=7_000,
    )


def settlement(request_id: str = "req_1", *, cost_nano: int = 400) -> Settlement:
    return Settlement(
        request_id=request_id,
        outcome=Outcome.COMPLETED,
        reason="The call completed.",
        usage=Usage(10, 4),
        charged=True,
        cost_nano=cost_nano,
        loss_nano=0,
        held_nano=1_000,
        started_us=5_000,
        first_output_us=6_000,
        ended_us=8_000,
        fingerprint=None,
        deployment_id="dep_1",
    )


def begun(disk: Disk, *, epoch: int = 1, segment_bytes_max: int = 2**20) -> Journal:
    """A journal of this epoch on the disk, whose directory needs no id file."""
    start = JournalStart(
        journal_id=JOURNAL_ID,
        replica="booth-1",
        epoch=epoch,
        segment_bytes_max=segment_bytes_max,
    )
    return Journal(disk, start)


def write(journal: Journal, record: Record) -> int:
    """Append the record by the verb of its kind; returns its mark."""
    match record:
        case CallFacts():
            return journal.open(record)
        case Progress():
            return journal.progress(record)
        case Settlement():
            return journal.settle(record)
        case SettledCall():
            return journal.whole(record)


def whole_call(journal: Journal, request_id: str) -> int:
    """Open, progress and settle; the mark of the settlement."""
    journal.open(facts(request_id))
    journal.progress(progress(request_id))
    return journal.settle(settlement(request_id))
