"""The schemas of files, as JSON Schema 2020-12."""

from collections.abc import Mapping

from tokenbooth.core.codes import Kind
from tokenbooth.protocols.openapi.operations import (
    ACCOUNT,
    FOUND,
    ID,
    KEYED,
    errors,
    get,
    in_path,
    in_query,
    told_answer,
)
from tokenbooth.protocols.openapi.schemas import COUNT, TEXT, TEXT_OR_NULL, Json, array, record, ref
from tokenbooth.protocols.problems import OWN

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
FILE_SCHEMAS: Mapping[str, Json] = {
    "File": record(
        {
            "id": TEXT,
            "object": {"const": "file"},
            "bytes": COUNT,
            "created_at": COUNT,
            "expires_at": COUNT,
            "filename": TEXT,
            "purpose": {"enum": list(PURPOSES)},
            "status": {"const": "processed"},
            "status_details": {"type": "null"},
        }
    ),
    "FileList": record(
        {
            "object": {"const": "list"},
            "data": array(ref("File")),
            "has_more": {"type": "boolean"},
            "first_id": TEXT_OR_NULL,
            "last_id": TEXT_OR_NULL,
        }
    ),
    "FileDeleted": record({"id": TEXT, "object": {"const": "file"}, "deleted": {"const": True}}),
}


def file_paths() -> Json:
    """The paths of files."""
    file = {"application/json": ref("File")}
    listed = get(
        "listFiles",
        "Files of this project that have not expired, newest first.",
        told_answer("One page.", {"application/json": ref("FileList")}),
        ACCOUNT,
        [
            in_query("limit", "Rows.", {"type": "integer", "minimum": 1, "maximum": 10_000}),
            in_query("after", "`last_id` of the page before.", ID),
            in_query("order", "By time of upload.", {"enum": ["asc", "desc"]}),
            in_query("purpose", "Only this purpose.", {"enum": list(PURPOSES)}),
        ],
    )
    form = record(
        {
            "file": {"type": "string", "contentMediaType": "application/octet-stream"},
            "purpose": {"enum": list(PURPOSES)},
        },
        {
            "expires_after[anchor]": {"const": "created_at"},
            "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
        },
    )
    kinds = (*ACCOUNT, Kind.TOO_LARGE)
    upload = {
        "operationId": "createFile",
        "summary": "Keep a file of at most 16 MiB, sealed, for 30 days or what is said.",
        "security": KEYED,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {"200": told_answer("The file.", file), **errors(kinds, OWN)},
    }
    where = [in_path("file_id")]
    removed = {"application/json": ref("FileDeleted")}
    plain = {"application/octet-stream": {"type": "string"}}
    one = get("getFile", "One file, without its content.", told_answer("It.", file), FOUND, where)
    gone = get("deleteFile", "Delete it now.", told_answer("Gone.", removed), FOUND, where)
    return {
        "/v1/files": {"post": upload, **listed},
        "/v1/files/{file_id}": {**one, "delete": gone["get"]},
        "/v1/files/{file_id}/content": get(
            "getFileContent", "What was uploaded.", told_answer("It.", plain), FOUND, where
        ),
    }
