"""Chats that work, for the OpenAPI document and the people who try them in Swagger."""

from __future__ import annotations

from fastapi.openapi.models import Example

from router.api.chat_schema import A_TOOL

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = [{"role": "user", "content": "What is the weather like in New York?"}]

EXAMPLES: dict[str, Example] = {
    "text": {
        "summary": "Text",
        "value": {
            "model": "tgi",
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "What is Deep Learning?"},
            ],
            "max_tokens": 50,
        },
    },
    "stream": {
        "summary": "Text in events, with the usage",
        "value": {
            "model": "tgi",
            "messages": [{"role": "user", "content": "Say 'OK!'"}],
            "max_tokens": 10,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    },
    "tools": {
        "summary": "Tools that the model may call",
        "value": {
            "model": "tgi",
            "messages": WEATHER,
            "tools": [A_TOOL],
            "tool_choice": "auto",
            "max_tokens": 100,
        },
    },
    "named_tool": {
        "summary": "A tool that it must call",
        "value": {
            "model": "tgi",
            "messages": WEATHER,
            "tools": [A_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "get_current_weather"}},
            "max_tokens": 100,
        },
    },
    "tool_result": {
        "summary": "The result of a call",
        "value": {
            "model": "tgi",
            "messages": [
                *WEATHER,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_0",
                            "type": "function",
                            "function": {
                                "name": "get_current_weather",
                                "arguments": '{"location": "New York", "format": "celsius"}',
                            },
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_0", "content": '{"temperature": 18}'},
            ],
            "tools": [A_TOOL],
            "max_tokens": 100,
        },
    },
    "json_schema": {
        "summary": "JSON that satisfies a schema",
        "value": {
            "model": "tgi",
            "messages": [{"role": "user", "content": "Give me a dummy JSON of a person"}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "person", "strict": True, "schema": PERSON},
            },
            "max_tokens": 200,
        },
    },
}
