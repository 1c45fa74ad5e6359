"""openai-agents: Chat Completions and Responses."""

import asyncio
import json
import os
import sys

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

MODEL = os.environ["MODEL"]
client = AsyncOpenAI(base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["API_KEY"])
set_tracing_disabled(True)
MODELS = {
    "chat": OpenAIChatCompletionsModel(model=MODEL, openai_client=client),
    "responses": OpenAIResponsesModel(model=MODEL, openai_client=client),
}
SETTINGS = ModelSettings(max_tokens=64)


async def ask(model, turn: str) -> dict:
    ran = []

    @function_tool
    def weather(place: str) -> str:
        """The weather of a place."""
        ran.append({"place": place})
        return f"sunny in {place}"

    tools = [weather] if turn == "tools" else []
    agent = Agent(name="guide", model=model, model_settings=SETTINGS, tools=tools)
    if turn == "streamed":
        pieces = 0
        result = Runner.run_streamed(agent, "Say hello.")
        async for event in result.stream_events():
            said = event.type == "raw_response_event"
            pieces += said and event.data.type == "response.output_text.delta"
        return {"said": result.final_output, "pieces": pieces}
    question = "How is the weather in Oslo?" if tools else "Say hello."
    result = await Runner.run(agent, question)
    return {"said": result.final_output, "ran": ran[0] if ran else None}


async def main() -> None:
    for api, model in MODELS.items():
        try:
            told = await ask(model, sys.argv[1])
        except Exception as error:  # noqa: BLE001 - it is what the client shows
            told = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps({"api": api, **told}))


asyncio.run(main())
