"""The openai package: Chat Completions and Responses."""

import json
import os
import sys

from openai import OpenAI, OpenAIError

MODEL = os.environ["MODEL"]
HELLO = [{"role": "user", "content": "Say hello."}]
QUESTION = [{"role": "user", "content": "How is the weather in Oslo?"}]
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
TOOL = {"type": "function", "name": "weather", "parameters": SCHEMA}
client = OpenAI(base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["API_KEY"])


def chat(turn: str) -> dict:
    ask = client.chat.completions
    if turn == "streamed":
        with ask.create(model=MODEL, messages=HELLO, max_tokens=64, stream=True) as stream:
            pieces = [c.choices[0].delta.content for c in stream if c.choices]
        pieces = [piece for piece in pieces if piece]
        return {"said": "".join(pieces), "pieces": len(pieces)}
    if turn == "tools":
        asked = ask.create(model=MODEL, messages=QUESTION, tools=[CHAT_TOOL]).choices[0].message
        (call,) = asked.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        answer = ask.create(model=MODEL, messages=[*QUESTION, asked, result], tools=[CHAT_TOOL])
        ran = json.loads(call.function.arguments)
        return {"said": answer.choices[0].message.content, "ran": ran}
    answer = ask.create(model=MODEL, messages=HELLO, max_tokens=64)
    return {"said": answer.choices[0].message.content}


def responses(turn: str) -> dict:
    ask = client.responses
    if turn == "streamed":
        with ask.stream(model=MODEL, input=HELLO, max_output_tokens=64) as stream:
            pieces = [e.delta for e in stream if e.type == "response.output_text.delta"]
        return {"said": "".join(pieces), "pieces": len(pieces)}
    if turn == "tools":
        asked = ask.create(model=MODEL, input=QUESTION, tools=[TOOL])
        call = next(item for item in asked.output if item.type == "function_call")
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        items = [*QUESTION, *asked.output, result]
        answer = ask.create(model=MODEL, input=items, tools=[TOOL])
        return {"said": answer.output_text, "ran": json.loads(call.arguments)}
    answer = ask.create(model=MODEL, input="Say hello.", max_output_tokens=64)
    return {"said": answer.output_text}


for api in (chat, responses):
    try:
        told = api(sys.argv[1])
    except OpenAIError as error:
        told = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps({"api": api.__name__, **told}))
