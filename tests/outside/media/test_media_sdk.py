"""Media by the official clients, over a model that sees and one that only reads."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import anthropic
import openai
import pytest

from tests.support.instances import Script, add_local, add_scripts, new_account
from tests.support.media import BLUE, RED, inline, pdf, png
from tests.support.sight import write_model
from tokenbooth.catalog.models.service import EngineKind
from tokenbooth.proving.instance import PrivateInstance

EXACT: dict[str, Any] = {"temperature": 0}


@dataclass(frozen=True)
class Place:
    openai: openai.OpenAI
    anthropic: anthropic.Anthropic


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    model, eye = write_model(tmp_path_factory.mktemp("sight"))
    with PrivateInstance(tmp_path_factory.mktemp("media")) as instance:
        options = {"mmproj_path": str(eye), "context_tokens": "1024", "slots": "1"}
        add_local(instance, "eye", str(model), EngineKind.LLAMACPP, **options)
        add_scripts(instance, Script("echo", {"answer": "echo"}))
        secret = new_account(instance, "acme")
        address = instance.start().base_url
        yield Place(
            openai.OpenAI(api_key=secret, base_url=f"{address}/v1", max_retries=5),
            anthropic.Anthropic(api_key=secret, base_url=address, max_retries=5),
        )
        assert instance.stop() == 0, instance.log_tail()


def chat(place: Place, url: str) -> str:
    parts: Any = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    said: Any = [{"role": "user", "content": parts}]
    answer = place.openai.chat.completions.create(model="eye", messages=said, max_tokens=8, **EXACT)
    assert answer.usage is not None
    assert answer.usage.model_extra is not None
    assert answer.usage.model_extra["uses"] == {"image": 1}
    return answer.choices[0].message.content or ""


def responses(place: Place, url: str) -> str:
    parts: Any = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": "?"}]
    said: Any = [{"role": "user", "content": parts}]
    answer = place.openai.responses.create(model="eye", input=said, max_output_tokens=16, **EXACT)
    return answer.output_text


def messages(place: Place, url: str) -> str:
    source: Any = {
        "type": "base64",
        "media_type": "image/png",
        "data": url.partition(",")[2],
    }
    parts: Any = [{"type": "image", "source": source}, {"type": "text", "text": "?"}]
    said: Any = [{"role": "user", "content": parts}]
    answer = place.anthropic.messages.create(
        model="eye", messages=said, max_tokens=8, extra_body=EXACT
    )
    return "".join(block.text for block in answer.content if block.type == "text")


@pytest.mark.parametrize("ask", [chat, responses, messages])
def test_what_is_in_the_image_changes_the_answer(place: Place, ask: Any) -> None:
    red, again, blue = (
        ask(place, inline("image/png", png(40, 30, color))) for color in (RED, RED, BLUE)
    )
    assert red == again
    assert red != blue


def test_an_uploaded_image_is_seen_like_one_that_is_sent(place: Place) -> None:
    raw = png(40, 30, RED)
    file = place.openai.files.create(file=("red.png", raw), purpose="vision")
    parts: Any = [
        {"type": "input_image", "file_id": file.id, "detail": "auto"},
        {"type": "input_text", "text": "?"},
    ]
    said: Any = [{"role": "user", "content": parts}]
    answer = place.openai.responses.create(model="eye", input=said, max_output_tokens=16, **EXACT)
    assert answer.output_text == responses(place, inline("image/png", raw))


def test_a_stored_response_goes_on_with_its_image(place: Place) -> None:
    url = inline("image/png", png(40, 30, RED))
    said: Any = [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]
    first = place.openai.responses.create(model="eye", input=said, max_output_tokens=16)
    then = place.openai.responses.create(
        model="eye", input="and?", previous_response_id=first.id, max_output_tokens=16
    )
    assert then.usage is not None
    assert first.usage is not None
    assert then.usage.input_tokens > first.usage.input_tokens
    assert (then.usage.model_extra or {})["uses"] == {"image": 1}


def test_a_prompt_with_an_image_is_counted_without_a_charge(place: Place) -> None:
    source: Any = {"type": "base64", "media_type": "image/png", "data": ""}
    source["data"] = inline("image/png", png()).partition(",")[2]
    said: Any = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    counted = place.anthropic.messages.count_tokens(model="eye", messages=said)
    assert counted.input_tokens > 4352


def test_the_text_of_a_pdf_reaches_a_model_that_only_reads(place: Place) -> None:
    url = inline("application/pdf", pdf("Hello from a page"))
    part: Any = {"type": "file", "file": {"file_data": url, "filename": "a.pdf"}}
    said: Any = [{"role": "user", "content": [part]}]
    raw = place.openai.chat.completions.with_raw_response.create(model="echo", messages=said)
    assert "Hello from a page" in (raw.parse().choices[0].message.content or "")
    assert "text of 1 pages" in raw.headers["x-tokenbooth-notes"]


def test_a_model_that_only_reads_names_the_place_of_an_image(place: Place) -> None:
    part: Any = {"type": "image_url", "image_url": {"url": "https://nowhere.invalid/x.png"}}
    with pytest.raises(openai.BadRequestError) as caught:
        place.openai.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": [part]}]
        )
    assert caught.value.code == "unsupported_feature"
    assert caught.value.param == "messages[0].content[0].image_url.url"


def test_nothing_inside_is_asked_whatever_it_is_called(place: Place) -> None:
    hits: list[str] = []

    class Inner(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Inner) as inner:
        threading.Thread(target=inner.serve_forever, daemon=True).start()
        try:
            port = inner.server_address[1]
            for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"):
                for url in (f"http://{host}/", f"http://{host}:{port}/", f"https://{host}:8443/"):
                    with pytest.raises(openai.BadRequestError) as caught:
                        chat(place, url)
                    assert caught.value.code in ("media_unreachable", "invalid_value")
        finally:
            inner.shutdown()
    assert hits == []
