"""LangChain: Chat Completions, Responses and Messages."""

import json
import os
import sys

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

MODEL, BASE_URL, API_KEY = (os.environ[name] for name in ("MODEL", "BASE_URL", "API_KEY"))
OPENAI = {"model": MODEL, "base_url": f"{BASE_URL}/v1", "api_key": API_KEY, "max_tokens": 64}
MODELS = {
    "chat": ChatOpenAI(**OPENAI),
    "responses": ChatOpenAI(**OPENAI, use_responses_api=True),
    "messages": ChatAnthropic(model=MODEL, base_url=BASE_URL, api_key=API_KEY, max_tokens=64),
}


@tool
def weather(place: str) -> str:
    """The weather of a place."""
    return f"sunny in {place}"


def ask(model, turn: str) -> dict:
    if turn == "streamed":
        pieces = [piece.text for piece in model.stream("Say hello.")]
        pieces = [piece for piece in pieces if piece]
        return {"said": "".join(pieces), "pieces": len(pieces)}
    if turn == "tools":
        bound = model.bind_tools([weather])
        question = HumanMessage("How is the weather in Oslo?")
        asked = bound.invoke([question])
        (call,) = asked.tool_calls
        result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
        return {"said": bound.invoke([question, asked, result]).text, "ran": call["args"]}
    return {"said": model.invoke("Say hello.").text}


for api, model in MODELS.items():
    try:
        told = ask(model, sys.argv[1])
    except Exception as error:  # noqa: BLE001 - it is what the client shows
        told = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps({"api": api, **told}))
