"""Bodies in the manner of clients in use, for each dialect: agents, frameworks, plain calls.

The model is always ``demo``, and most of them are taken by a booth as they are.
"""

from typing import Any

Json = dict[str, Any]
TREE: Json = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "path": {"type": ["string", "null"], "default": None},
        "limit": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]},
        "mode": {"enum": ["a", "b", None]},
        "inner": {"$ref": "#"},
    },
    "required": ["path"],
    "additionalProperties": False,
}


def _function(name: str) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": TREE, "strict": False}}


CHAT: tuple[Json, ...] = (
    {"model": "demo", "messages": [{"role": "user", "content": "hello"}]},
    {
        "model": "demo",
        "messages": [
            {"role": "system", "content": "You are an agent."},
            {"role": "developer", "content": [{"type": "text", "text": "be short"}]},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "say pong"}]},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"path":null}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        ],
        "tools": [_function("look"), _function("edit")],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_tokens": 320,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    {
        "model": "demo",
        "messages": [{"role": "user", "content": "count"}],
        "temperature": 0.5,
        "top_p": 1,
        "n": 2,
        "stop": ["a", "b"],
        "seed": 1,
        "logprobs": True,
        "top_logprobs": 3,
        "max_completion_tokens": 100,
        "presence_penalty": 0,
        "frequency_penalty": 0.25,
        "logit_bias": {"1": 2},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "seen", "schema": TREE, "strict": True},
        },
        "reasoning_effort": "low",
        "verbosity": "low",
        "metadata": {"user_id": "u", "k": "v"},
        "safety_identifier": "s",
        "service_tier": "auto",
        "prompt_cache_key": "k",
        "store": False,
    },
    {
        "model": "demo",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            }
        ],
        "user": "u",
    },
)

RESPONSES: tuple[Json, ...] = (
    {"model": "demo", "input": "hello"},
    {
        "model": "demo",
        "instructions": "You are a coding agent.",
        "input": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "<permissions>"}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "say pong"}],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"},
            {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        ],
        "tools": [
            {"type": "function", "name": "shell", "strict": False, "parameters": TREE},
            {
                "type": "custom",
                "name": "patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"},
            },
            {"type": "web_search"},
            {
                "type": "namespace",
                "name": "wiki",
                "tools": [{"type": "function", "name": "find", "parameters": TREE}],
            },
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199-f",
        "client_metadata": {"x-installation-id": "1"},
    },
    {
        "model": "demo",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what is this?"},
                    {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
                ],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "hm"},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            {"type": "item_reference", "id": "rs_2"},
        ],
        "text": {
            "format": {"type": "json_schema", "name": "seen", "schema": TREE, "strict": True},
            "verbosity": "low",
        },
        "temperature": 0.5,
        "top_p": 1,
        "top_logprobs": 3,
        "max_output_tokens": 100,
        "max_tool_calls": 2,
        "metadata": {"user_id": "u"},
        "truncation": "disabled",
        "background": False,
        "service_tier": "auto",
    },
)

MESSAGES: tuple[Json, ...] = (
    {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]},
    {
        "model": "demo",
        "max_tokens": 3200,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: v=2.1; nonce=9a1;"},
            {
                "type": "text",
                "text": "You are an agent.",
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "say pong"}]},
            {"role": "system", "content": "The directory has changed."},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": None}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "a cat"}],
                        "is_error": False,
                    }
                ],
            },
        ],
        "tools": [
            {"name": "Read", "description": "Reads.", "input_schema": TREE},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "auto"},
        "metadata": {"user_id": "user_" + "0" * 64},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    },
    {
        "model": "demo",
        "max_tokens": 100,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                    },
                ],
            }
        ],
        "stop_sequences": ["a"],
        "temperature": 0.5,
        "top_p": 1,
        "top_k": 5,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "service_tier": "auto",
    },
)

BODIES: dict[str, tuple[Json, ...]] = {
    "openai_chat": CHAT,
    "openai_responses": RESPONSES,
    "anthropic_messages": MESSAGES,
}
