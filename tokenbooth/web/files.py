"""``/v1/files``: what a project uploaded, for its own keys alone, until it expires."""

import asyncio
from dataclasses import dataclass
from typing import NoReturn

from tokenbooth.admission.queue.service import Gate
from tokenbooth.admission.rates import service as rates
from tokenbooth.content.files import service as files
from tokenbooth.content.files.service import FileAsk, FilesPage, Purpose, StoredFile
from tokenbooth.core.caller import Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Ids, Randomness, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import authenticate
from tokenbooth.protocols.dialect import Answer
from tokenbooth.protocols.multipart import Part, parts_of
from tokenbooth.protocols.problems import own_refusal
from tokenbooth.web.answers import json_answer
from tokenbooth.web.endpoint import Endpoint
from tokenbooth.web.free_turn import free_turn
from tokenbooth.web.query import identifier, only, page_limit
from tokenbooth.web.rooms import WebRooms, caller_of

UPLOADS_AT_ONCE = 2
UPLOADS_QUEUE_MAX = 32
FORM_BYTES_MAX = 64 * 1024
LIST_DEFAULT = 100
LIST_MAX = 10_000
ROWS_MAX = 1000
US_PER_S = 1_000_000
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"
CONTENT_HEADERS = (
    ("content-type", "application/octet-stream"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRooms:
    """``key`` is the instance's sealing key."""

    rooms: Rooms
    ids: Ids
    noise: Randomness
    key: bytes


def upload_endpoint(place: FileRooms) -> Endpoint:
    """Only a few are read at once, because each is held whole while it is sealed."""
    turns = Gate(UPLOADS_AT_ONCE, UPLOADS_QUEUE_MAX)
    rooms = place.rooms

    async def answered(op: Op, head: CallHead, body: Body) -> Answer:
        caller = await authenticate(rooms, op, head, Scope.INFERENCE)
        only(head.query, ())
        raw = await body.read(files.FILE_BYTES_MAX + FORM_BYTES_MAX)
        async with free_turn(turns, "uploads"):
            ask = _ask(parts_of(raw, head.headers.get("content-type", "")))
            made = files.new_file(op, caller, ask, place.ids.new("file"))
            sealed = await asyncio.to_thread(
                files.sealed_content, made, ask.content, place.key, place.noise
            )
            await rooms.store.write(lambda tx: files.add(op, tx, made, sealed))
        answer = json_answer(file_json(made))
        limits = rates.headers(rooms.rates.state(caller))
        return Answer(answer.status, (*answer.headers, *limits), answer.body)

    async def endpoint(op: Op, head: CallHead, body: Body, sink: Sink) -> None:
        try:
            answer = await answered(op, head, body)
        except Problem as problem:
            answer = own_refusal(problem, op.request_id)
        sink.start(answer.status, answer.headers)
        sink.write(answer.body)
        sink.end()

    return endpoint


async def list_files(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    query, caller = head.query, caller_of(op)
    only(query, ("after", "limit", "order", "purpose"))
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        _bad("order", "must be asc or desc")
    page = FilesPage(
        limit=min(page_limit(query, LIST_DEFAULT, LIST_MAX), ROWS_MAX),
        after=identifier(query, "after"),
        purpose=_purpose(query["purpose"]) if "purpose" in query else None,
        oldest_first=order == "asc",
    )
    found = await rooms.store.read(lambda tx: files.files(op, tx, caller, page))
    shown = found[: page.limit]
    return json_answer(
        {
            "object": "list",
            "data": [file_json(each) for each in shown],
            "has_more": len(found) > len(shown),
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
        }
    )


async def one_file(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    only(head.query, ())
    caller, file_id = caller_of(op), head.path_values["file_id"]
    found = await rooms.store.read(lambda tx: files.file_by(op, tx, caller, file_id))
    return json_answer(file_json(found))


async def file_content(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    only(head.query, ())
    caller, file_id = caller_of(op), head.path_values["file_id"]
    sealed = await rooms.store.read(lambda tx: files.content(op, tx, caller, file_id))
    plain = await asyncio.to_thread(
        files.unsealed, sealed, rooms.sealing_key, caller.project_id, file_id
    )
    return Answer(200, CONTENT_HEADERS, plain)


async def delete_file(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    only(head.query, ())
    caller, file_id = caller_of(op), head.path_values["file_id"]
    await rooms.store.write(lambda tx: files.remove(op, tx, caller, file_id))
    return json_answer({"id": file_id, "object": "file", "deleted": True})


def file_json(file: StoredFile) -> dict[str, object]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_us // US_PER_S,
        "expires_at": file.expires_us // US_PER_S,
        "filename": file.file_name,
        "purpose": file.purpose.value,
        "status": "processed",
        "status_details": None,
    }


def _ask(parts: tuple[Part, ...]) -> FileAsk:
    """Raises INVALID_VALUE, MISSING_FIELD or UNKNOWN_FIELD, naming ``param``."""
    named: dict[str, Part] = {}
    for part in parts:
        if part.name in named:
            _bad(part.name[:80], "is sent twice")
        named[part.name] = part
    for name in named:
        if name not in ("file", "purpose", ANCHOR, SECONDS):
            raise Problem(Code.UNKNOWN_FIELD, f"Unknown field {name[:80]!r}.", param=name[:80])
    for needed in ("file", "purpose"):
        if needed not in named:
            raise Problem(Code.MISSING_FIELD, f"{needed} is required.", param=needed)
    if named["file"].file_name is None:
        _bad("file", "must be a file with a name")
    return FileAsk(
        file_name=named["file"].file_name or "",
        purpose=_purpose(_text(named["purpose"])),
        content=named["file"].content,
        kept_s=_kept_s(named),
    )


def _kept_s(named: dict[str, Part]) -> int | None:
    if ANCHOR not in named and SECONDS not in named:
        return None
    if ANCHOR not in named or _text(named[ANCHOR]) != "created_at":
        _bad(ANCHOR, "must be created_at")
    text = _text(named[SECONDS]) if SECONDS in named else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        _bad(SECONDS, "must be a whole number")
    return int(text)


def _purpose(text: str) -> Purpose:
    try:
        return Purpose(text)
    except ValueError:
        _bad("purpose", f"must be one of {', '.join(each.value for each in Purpose)}")


def _text(part: Part) -> str:
    return part.content[:200].decode("utf-8", "replace")


def _bad(param: str, says: str) -> NoReturn:
    raise Problem(Code.INVALID_VALUE, f"{param} {says}.", param=param)
