"""Schemas of the shapes that coding agents and MCP servers send, as their libraries write them."""

import json
from collections.abc import Mapping
from typing import Any

from tokenbooth.core.turn import Tool

DRAFT = "http://json-schema.org/draft-07/schema#"
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
NUMBER = {"type": "number"}
Schema = dict[str, Any]


def closed(properties: Schema, *required: str) -> Schema:
    """An object as schema writers of TypeScript make it."""
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


SHELL = closed(
    {
        "command": {**TEXT, "description": "What to run"},
        "timeout": {**NUMBER, "description": "Milliseconds"},
        "run_in_background": FLAG,
    },
    "command",
)
EDIT = closed(
    {"file": TEXT, "old": TEXT, "new": TEXT, "all": {**FLAG, "default": False}},
    "file", "old", "new",
)  # fmt: skip
TASKS = closed(
    {
        "todos": {
            "type": "array",
            "items": closed(
                {
                    "content": {"type": "string", "minLength": 1},
                    "status": {"type": "string", "enum": ["pending", "doing", "done"]},
                },
                "content",
                "status",
            ),
        }
    },
    "todos",
)
SEARCH = closed(
    {
        "pattern": TEXT,
        "mode": {"type": "string", "enum": ["content", "files", "count"]},
        "-A": NUMBER,
        "-n": FLAG,
        "limit": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991},
    },
    "pattern",
)
FETCH = closed({"url": {"type": "string", "format": "uri"}, "prompt": TEXT}, "url", "prompt")
ASK = closed(
    {
        "questions": {
            "type": "array",
            "minItems": 1,
            "maxItems": 4,
            "items": closed(
                {
                    "question": TEXT,
                    "options": {
                        "type": "array",
                        "minItems": 2,
                        "maxItems": 4,
                        "items": closed({"label": TEXT, "preview": TEXT}, "label"),
                    },
                    "multi": {**FLAG, "default": False},
                },
                "question",
                "options",
                "multi",
            ),
        },
        "answers": {"type": "object", "propertyNames": TEXT, "additionalProperties": TEXT},
    },
    "questions",
)
PLAN = {
    "type": "object",
    "properties": {
        "explanation": TEXT,
        "plan": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"step": TEXT, "status": TEXT},
                "required": ["step", "status"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["plan"],
    "additionalProperties": False,
}
# Recursive, with branches that only require, and keywords that no grammar enforces.
QUERY = {
    "type": "object",
    "$defs": {
        "Group": {
            "type": "object",
            "properties": {
                "kind": {"const": "group"},
                "parts": {
                    "type": "array",
                    "items": {
                        "anyOf": [{"$ref": "#/$defs/Group"}, {"$ref": "#/$defs/Leaf"}],
                    },
                },
            },
            "required": ["kind", "parts"],
        },
        "Leaf": {
            "type": "object",
            "properties": {
                "field": {"type": "string", "pattern": "^[a-z]+$"},
                "op": {"enum": ["eq", "gt"]},
                "value": {"anyOf": [TEXT, NUMBER, {"type": "null"}]},
            },
            "required": ["field", "op"],
        },
    },
    "properties": {
        "filter": {"oneOf": [{"$ref": "#/$defs/Group"}, {"$ref": "#/$defs/Leaf"}]},
        "limit": {"type": ["integer", "null"], "default": None},
        "tags": {"type": "array", "items": TEXT, "uniqueItems": True},
        "extra": {"type": "object", "additionalProperties": True},
    },
    "anyOf": [{"required": ["filter"]}, {"required": ["limit"]}],
}
SCHEMAS: Mapping[str, Schema] = {
    "Shell": SHELL,
    "Edit": EDIT,
    "Tasks": TASKS,
    "Search": SEARCH,
    "Fetch": FETCH,
    "Ask": ASK,
    "update_plan": PLAN,
    "mcp__db__query": QUERY,
}
TOOLS = tuple(Tool(name, f"Does {name}.", json.dumps(one)) for name, one in SCHEMAS.items())
