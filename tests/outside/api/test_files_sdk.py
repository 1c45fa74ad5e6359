"""Files through the official `openai` package; other tenants meet nothing."""

import os
from collections.abc import Iterator

import openai
import pytest

from tests.outside.api.conftest import Running

CONTENT = os.urandom(100_000)


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


@pytest.fixture
def stranger(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.foreign, base_url=running.base_url, max_retries=0) as made:
        yield made


def test_a_file_goes_up_and_comes_back(client: openai.OpenAI) -> None:
    made = client.files.create(file=('naïve "x".bin', CONTENT), purpose="user_data")
    assert (made.filename, made.bytes) == ('naïve "x".bin', len(CONTENT))
    assert made.expires_at == made.created_at + 30 * 86_400
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).content == CONTENT
    assert made.id in [file.id for file in client.files.list(limit=1)]
    assert client.files.delete(made.id).deleted
    for verb in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            verb(made.id)


def test_a_wish_for_an_earlier_end_is_kept(client: openai.OpenAI) -> None:
    made = client.files.create(
        file=("a.jsonl", b"{}"),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )
    assert made.expires_at == made.created_at + 7200
    assert [file.id for file in client.files.list(purpose="batch")] == [made.id]
    client.files.delete(made.id)


def test_another_tenant_meets_nothing(client: openai.OpenAI, stranger: openai.OpenAI) -> None:
    made = client.files.create(file=("a.txt", b"ours"), purpose="assistants")
    for verb in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
        with pytest.raises(openai.NotFoundError) as ours:
            verb(made.id)
        with pytest.raises(openai.NotFoundError) as none:
            verb("file_00000000000000000000000000000000")
        told = ("code", "message", "type", "param")
        assert [ours.value.body[x] for x in told] == [none.value.body[x] for x in told]
    assert list(stranger.files.list()) == []
    assert client.files.content(made.id).content == b"ours"


def test_a_file_lies_sealed(client: openai.OpenAI, running: Running) -> None:
    words = b"these very words lie nowhere in the clear"
    made = client.files.create(file=("a.txt", words), purpose="assistants")
    home = running.instance.settings().data_dir
    found = [path for path in home.rglob("*") if path.is_file() and words in path.read_bytes()]
    assert found == []
    assert client.files.content(made.id).content == words


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"purpose": "fun"}, openai.BadRequestError, "purpose"),
        ({"file": ("x" * 300, b"")}, openai.BadRequestError, "file"),
        ({"file": ("big", bytes(17 * 2**20))}, openai.APIStatusError, None),
        (
            {"expires_after": {"anchor": "created_at", "seconds": 1}},
            openai.BadRequestError,
            "expires_after[seconds]",
        ),
    ],
)
def test_errors_name_the_field(client: openai.OpenAI, fields, kind, param) -> None:
    with pytest.raises(kind) as refused:
        client.files.create(**{"file": ("a", b"x"), "purpose": "batch", **fields})
    assert refused.value.body.get("param") == param
    assert refused.value.status_code in (400, 413)
