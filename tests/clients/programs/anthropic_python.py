"""The anthropic package: Messages."""

import json
import os
import sys

from anthropic import Anthropic, AnthropicError

MODEL = os.environ["MODEL"]
HELLO = [{"role": "user", "content": "Say hello."}]
QUESTION = [{"role": "user", "content": "How is the weather in Oslo?"}]
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOL = {"name": "weather", "input_schema": SCHEMA}
client = Anthropic(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"])


def text(answer) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def messages(turn: str) -> dict:
    asked = {"model": MODEL, "max_tokens": 64}
    if turn == "streamed":
        with client.messages.stream(messages=HELLO, **asked) as stream:
            pieces = list(stream.text_stream)
            return {"said": text(stream.get_final_message()), "pieces": len(pieces)}
    if turn == "tools":
        first = client.messages.create(messages=QUESTION, tools=[TOOL], **asked)
        use = next(block for block in first.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
        follow_up = [
            *QUESTION,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        last = client.messages.create(messages=follow_up, tools=[TOOL], **asked)
        return {"said": text(last), "ran": use.input}
    return {"said": text(client.messages.create(messages=HELLO, **asked))}


try:
    told = messages(sys.argv[1])
except AnthropicError as error:
    told = {"error": type(error).__name__, "message": str(error)}
print(json.dumps({"api": "messages", **told}))
