"""A serving gateway holds in memory only what it uses."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.instances import Script, add_scripts, new_account
from tokenbooth.proving.client import call, json_ask
from tokenbooth.proving.instance import PrivateInstance

NOT_NEEDED = frozenset(
    {
        "alembic",
        "asyncpg",
        "av",
        "pypdfium2",
        "uvicorn",
        "httpx",
        "numpy",
        "openai",
        "openvino",
        "openvino_genai",
        "pip",
    }
    | {"tokenizers", "huggingface_hub", "xllamacpp", "mako", "jinja2", "yaml", "hypothesis"}
)
# Loaded by the interpreter itself before the program: at its end it writes down what was loaded.
WITNESS = """\
import atexit, json, os, sys

def tell():
    with open(os.path.join(os.environ["WITNESS_DIR"], f"{os.getpid()}.json"), "w") as file:
        json.dump(sorted({name.partition(".")[0] for name in sys.modules}), file)

atexit.register(tell)
"""


def test_serving_a_model_loads_no_package_that_it_does_not_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("WITNESS_DIR", str(tmp_path))
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with PrivateInstance(tmp_path / "booth") as instance:
        add_scripts(instance, Script("m"))
        secret = new_account(instance, "acme")
        address = instance.start()
        answer = asyncio.run(call(address, json_ask("/v1/chat/completions", secret, body)))
        assert answer.status == 200
        pid = instance.pid
        assert instance.stop() == 0, instance.log_tail()
    loaded = set(json.loads((tmp_path / f"{pid}.json").read_text()))
    assert {"tokenbooth", "uvloop", "sqlalchemy"} <= loaded
    assert loaded & NOT_NEEDED == set()
