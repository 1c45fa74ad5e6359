"""pydantic-ai: Chat Completions, Responses and Messages."""

import asyncio
import json
import os
import sys

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

MODEL, BASE_URL, API_KEY = (os.environ[name] for name in ("MODEL", "BASE_URL", "API_KEY"))
OPENAI = OpenAIProvider(base_url=f"{BASE_URL}/v1", api_key=API_KEY)
MODELS = {
    "chat": OpenAIChatModel(MODEL, provider=OPENAI),
    "responses": OpenAIResponsesModel(MODEL, provider=OPENAI),
    "messages": AnthropicModel(
        MODEL, provider=AnthropicProvider(base_url=BASE_URL, api_key=API_KEY)
    ),
}
SETTINGS = {"max_tokens": 64}


async def ask(model, turn: str) -> dict:
    agent = Agent(model, model_settings=SETTINGS)
    if turn == "streamed":
        async with agent.run_stream("Say hello.") as stream:
            pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
        return {"said": "".join(pieces), "pieces": len(pieces)}
    if turn == "tools":
        ran = []

        def weather(place: str) -> str:
            """The weather of a place."""
            ran.append({"place": place})
            return f"sunny in {place}"

        agent.tool_plain(weather)
        result = await agent.run("How is the weather in Oslo?")
        return {"said": result.output, "ran": ran[0]}
    return {"said": (await agent.run("Say hello.")).output}


async def main() -> None:
    for api, model in MODELS.items():
        try:
            told = await ask(model, sys.argv[1])
        except Exception as error:  # noqa: BLE001 - it is what the client shows
            told = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps({"api": api, **told}))


asyncio.run(main())
