"""``/v1/files``: forms are read by name, and every answer is the file's own."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.support.booth import SEALING_KEY, MemoryBody, MemorySink, Noise
from tests.unit.web.conftest import Account
from tokenbooth.content.files import rules
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.web.files import FileRooms, upload_endpoint
from tokenbooth.workers.options import WorkerOptions
from tokenbooth.workers.upkeep import Upkeep

Play = Callable[..., None]
TYPE = "multipart/form-data; boundary=xyz"
FILE = ('; name="file"; filename="a.jsonl"', b"one line")
PURPOSE = ('; name="purpose"', b"batch")


def form(*parts: tuple[str, bytes]) -> bytes:
    made = b"".join(
        b"--xyz\r\nContent-Disposition: form-data%s\r\n\r\n%s\r\n" % (said.encode(), content)
        for said, content in parts
    )
    return made + b"--xyz--\r\n"


async def upload(account: Account, *parts: tuple[str, bytes], **more: Any) -> MemorySink:
    booth = account.booth
    place = FileRooms(rooms=booth.rooms, ids=booth.ids, noise=Noise(), key=SEALING_KEY)
    sink = MemorySink()
    secret = more.get("secret", booth.secret)
    headers = {"authorization": f"Bearer {secret}", "content-type": more.get("kind", TYPE)}
    head = CallHead("POST", "/v1/files", headers, more.get("query", {}), {})
    await upload_endpoint(place)(booth.new_op(), head, MemoryBody(form(*parts)), sink)
    assert sink.ends == 1
    return sink


def test_a_file_goes_up_is_found_read_and_deleted(play: Play) -> None:
    async def scene(account: Account) -> None:
        sink = await upload(account, FILE, PURPOSE)
        made = sink.document
        assert (sink.status, made["bytes"], made["filename"]) == (200, 8, "a.jsonl")
        assert made["expires_at"] - made["created_at"] == 30 * 86_400
        where = {"file_id": made["id"]}
        assert await account.get("/v1/files/{file_id}", **where) == made
        (listed,) = (await account.get("/v1/files"))["data"]
        assert listed == made
        answer = await account.answer("/v1/files/{file_id}/content", **where)
        assert answer.body == b"one line"
        assert ("x-content-type-options", "nosniff") in answer.headers
        gone = await account.get("DELETE /v1/files/{file_id}", **where)
        assert gone == {"id": made["id"], "object": "file", "deleted": True}
        with pytest.raises(Problem) as caught:
            await account.answer("/v1/files/{file_id}", **where)
        assert caught.value.code is Code.FILE_NOT_FOUND

    play(scene)


def test_what_expires_says_so_and_is_swept(play: Play) -> None:
    async def scene(account: Account) -> None:
        after = ('; name="expires_after[anchor]"', b"created_at")
        seconds = ('; name="expires_after[seconds]"', b"3600")
        made = (await upload(account, FILE, PURPOSE, after, seconds)).document
        assert made["expires_at"] == made["created_at"] + 3600
        account.booth.clock.us += 3601 * 10**6
        assert (await account.get("/v1/files"))["data"] == []
        upkeep = Upkeep(account.booth.rooms, account.booth.new_op, WorkerOptions())
        assert [await upkeep.tidy_files(), await upkeep.tidy_files()] == [1, 0]

    play(scene)


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ((PURPOSE,), "file"),
        ((FILE,), "purpose"),
        ((FILE, FILE, PURPOSE), "file"),
        ((('; name="file"', b"x"), PURPOSE), "file"),
        ((FILE, ('; name="purpose"', b"fun")), "purpose"),
        ((FILE, PURPOSE, ('; name="zebra"', b"x")), "zebra"),
        ((FILE, PURPOSE, ('; name="expires_after[seconds]"', b"1")), "expires_after[anchor]"),
        (
            (FILE, PURPOSE, ('; name="expires_after[anchor]"', b"created_at")),
            "expires_after[seconds]",
        ),
        (
            (
                FILE,
                PURPOSE,
                ('; name="expires_after[anchor]"', b"created_at"),
                ('; name="expires_after[seconds]"', b"1"),
            ),
            "expires_after[seconds]",
        ),
    ],
)
def test_a_form_that_cannot_be_is_refused_by_name(play: Play, parts: Any, param: str) -> None:
    async def scene(account: Account) -> None:
        sink = await upload(account, *parts)
        assert (sink.status, sink.document["error"]["param"]) == (400, param)
        assert (await account.get("/v1/files"))["data"] == []

    play(scene)


def test_what_is_no_form_and_who_may_not(play: Play) -> None:
    async def scene(account: Account) -> None:
        assert (await upload(account, kind="application/json")).status == 400
        assert (await upload(account, FILE, PURPOSE, query={"a": "b"})).status == 400
        assert (await upload(account, FILE, PURPOSE, secret="sk-x")).status == 401

    play(scene)


def test_a_full_project_is_told_so(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PROJECT_FILES_MAX", 1)

    async def scene(account: Account) -> None:
        assert (await upload(account, FILE, PURPOSE)).status == 200
        sink = await upload(account, FILE, PURPOSE)
        assert (sink.status, sink.document["error"]["code"]) == (403, "files_full")

    play(scene)


def test_pages_lead_on_and_are_bounded(play: Play) -> None:
    async def scene(account: Account) -> None:
        for _ in range(3):
            await upload(account, FILE, PURPOSE)
        page = await account.get("/v1/files", {"limit": "2", "order": "asc"})
        assert (len(page["data"]), page["has_more"]) == (2, True)
        rest = await account.get(
            "/v1/files", {"limit": "2", "order": "asc", "after": page["last_id"]}
        )
        assert (len(rest["data"]), rest["has_more"]) == (1, False)
        assert (await account.get("/v1/files", {"purpose": "vision"}))["first_id"] is None
        for query, param in (
            ({"order": "up"}, "order"),
            ({"purpose": "fun"}, "purpose"),
            ({"limit": "10001"}, "limit"),
            ({"after": "a b"}, "after"),
            ({"zebra": "1"}, "zebra"),
        ):
            with pytest.raises(Problem) as caught:
                await account.answer("/v1/files", query)
            assert caught.value.param == param

    play(scene)


def test_the_answer_is_json(play: Play) -> None:
    async def scene(account: Account) -> None:
        sink = await upload(account, FILE, PURPOSE)
        assert sink.headers["content-type"] == "application/json"
        assert msgspec.json.decode(sink.body)["status"] == "processed"

    play(scene)
