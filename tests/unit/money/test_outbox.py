"""Events that are written once and read page by page."""

import json

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.bank import Bank
from tokenbooth.money.outbox import service as outbox
from tokenbooth.money.outbox.service import OPERATOR, Topic


def write(bank: Bank, name: str, org_id: str = "org_a", **body: object) -> None:
    def work(op, tx):
        outbox.put(op, tx, [outbox.event_of(Topic.SPEND_ALERT, name, org_id, body, op.now())])

    bank.write(work)


def page(bank: Bank, org_id: str | None = "org_a", after: str | None = None, limit: int = 10):
    return bank.read(lambda op, tx: outbox.page(op, tx, org_id, after=after, limit=limit))


def test_an_event_comes_back_as_it_was_written(bank: Bank) -> None:
    write(bank, "one", b=2, a="ü")
    (event,) = page(bank).events
    assert event.key == "spend_alert:one"
    assert event.topic is Topic.SPEND_ALERT
    assert event.created_us == bank.clock.us
    assert event.sent_us is None
    assert json.loads(event.body) == {"a": "ü", "b": 2}
    assert event.id.startswith("event_")
    assert len(event.id) == len("event_") + 32


def test_a_key_stands_once(bank: Bank) -> None:
    write(bank, "one", first=True)
    write(bank, "one", first=False)
    (event,) = page(bank).events
    assert json.loads(event.body) == {"first": True}
    with pytest.raises(DBAPIError):
        bank.sql(
            "INSERT INTO outbox (id, org_id, topic, key, body, created_us)"
            " VALUES ('x', 'org_a', 'spend_alert', 'spend_alert:one', '{}', 1)"
        )


def test_pages_go_from_the_newest_to_the_oldest(bank: Bank) -> None:
    for i in range(7):
        write(bank, f"n{i}")
    seen, after = [], None
    for expected in (3, 3, 1):
        found = page(bank, after=after, limit=3)
        assert len(found.events) == expected
        seen += [event.key for event in found.events]
        after = found.next_after
    assert after is None
    assert seen == [f"spend_alert:n{i}" for i in reversed(range(7))]
    assert page(bank, limit=7).next_after is None


def test_nobody_sees_the_events_of_others(bank: Bank) -> None:
    write(bank, "mine")
    write(bank, "theirs", "org_b")
    write(bank, "ours", OPERATOR)
    assert [e.key for e in page(bank).events] == ["spend_alert:mine"]
    assert [e.key for e in page(bank, "org_b").events] == ["spend_alert:theirs"]
    assert page(bank, "org_c").events == ()
    assert {e.org_id for e in page(bank, None).events} == {"org_a", "org_b", OPERATOR}


def test_nothing_to_write_is_nothing_written(bank: Bank) -> None:
    bank.write(lambda op, tx: outbox.put(op, tx, ()))
    assert page(bank, None).events == ()


def test_the_same_happening_makes_the_same_event() -> None:
    made = [outbox.event_of(Topic.SPEND_ALERT, "n", "o", {"x": 1}, 5) for _ in range(2)]
    assert made[0] == made[1]
    later = outbox.event_of(Topic.SPEND_ALERT, "n", "o", {"x": 1}, 6)
    assert later.key == made[0].key
    assert later.id > made[0].id
    assert outbox.event_of(Topic.RECONCILIATION_FAILED, "n", "o", {}, 5).id != made[0].id
