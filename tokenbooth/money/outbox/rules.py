"""Events as pure data: the same happening always makes the same event."""

import json
from collections.abc import Mapping
from hashlib import sha256

from tokenbooth.money.outbox.values import Event, Topic

TIME_DIGITS = 14
NAME_DIGITS = 18


def event_of(
    topic: Topic, name: str, org_id: str, body: Mapping[str, object], now_us: int
) -> Event:
    """``name`` says which happening of its topic this is.

    The id rises with time and follows from time and name alone, so a transaction that is run again
    writes nothing that its first run would not have written.
    """
    key = f"{topic.value}:{name}"
    digest = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return Event(
        id=f"event_{now_us:0{TIME_DIGITS}x}{digest[:NAME_DIGITS]}",
        org_id=org_id,
        topic=topic,
        key=key,
        body=json.dumps(body, separators=(",", ":"), sort_keys=True),
        created_us=now_us,
    )
