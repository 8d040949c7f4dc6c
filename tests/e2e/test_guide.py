"""What the guidance guide promises, as its readers would try it: by curl and by requests.

(Its examples with AsyncClient and with OpenAI's client are in clients/.)
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Annotated, Any

import httpx
import jsonschema
import requests
from pydantic import BaseModel, Field, conint

ANIMALS = {
    "properties": {
        "location": {"type": "string"},
        "activity": {"type": "string"},
        "animals_seen": {"type": "integer", "minimum": 1, "maximum": 5},
        "animals": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["location", "activity", "animals_seen", "animals"],
}

IPV4 = r"((25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)"


class Animals(BaseModel):
    """The guide's model."""

    location: str
    activity: str
    animals_seen: Annotated[int, Field(ge=1, le=5)]
    animals: list[str]


class AnimalsOfOld(BaseModel):
    """The guide's model, letter by letter."""

    location: str
    activity: str
    animals_seen: conint(ge=1, le=5)  # type: ignore[valid-type] # the guide's way to say it
    animals: list[str]


WEATHER = {
    "type": "object",
    "properties": {
        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
        "format": {
            "type": "string",
            "enum": ["celsius", "fahrenheit"],
            "description": "The temperature unit to use. Infer this from the users location.",
        },
    },
    "required": ["location", "format"],
}


def curl(url: str, body: dict[str, Any]) -> Any:
    """What the guide's command line prints."""
    header = ("-H", "Content-Type: application/json")
    command = ["curl", "--silent", "--show-error", url, "-X", "POST", *header, "-d", json.dumps(body)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)


def generated(response: requests.Response | httpx.Response) -> dict[str, Any]:
    """The answer, which must be there and must have ended by itself."""
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["details"]["finish_reason"] == "eos_token", answer
    return answer


def test_the_first_request_is_answered_with_json_that_matches_its_schema(server: Any) -> None:
    body = {
        "inputs": "I saw a puppy a cat and a raccoon during my bike ride in the park",
        "parameters": {"repetition_penalty": 1.3, "grammar": {"type": "json", "value": ANIMALS}},
    }
    answer = json.loads(curl(f"{server.url}/generate", body)["generated_text"])
    jsonschema.validate(answer, ANIMALS)
    assert 1 <= answer["animals_seen"] <= 5


def test_a_tool_that_is_named_is_called(server: Any) -> None:
    function = {
        "name": "get_current_weather",
        "description": "Get the current weather",
        "parameters": WEATHER,
    }
    body = {
        "model": "tgi",
        "messages": [{"role": "user", "content": "What is the weather like in New York?"}],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "get_current_weather",
        "max_tokens": 100,  # the default of the TGI that the guide was written for
    }
    (choice,) = curl(f"{server.url}/v1/chat/completions", body)["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_current_weather"
    jsonschema.validate(json.loads(call["function"]["arguments"]), WEATHER)


def test_a_pydantic_model_shapes_the_answer(server: Any) -> None:
    prompt = "convert to JSON: I saw a puppy a cat and a raccoon during my bike ride in the park"
    assert AnimalsOfOld.model_json_schema()["properties"] == Animals.model_json_schema()["properties"]
    for model in (Animals, AnimalsOfOld):
        grammar = {"type": "json", "value": model.model_json_schema()}
        response = requests.post(
            f"{server.url}/generate",
            json={
                "inputs": prompt,
                "parameters": {"repetition_penalty": 1.3, "details": True, "grammar": grammar},
            },
            timeout=120,
        )
        model.model_validate_json(generated(response)["generated_text"])


def test_a_schema_with_a_limit_of_tokens_shapes_the_answer(server: Any) -> None:
    response = requests.post(
        f"{server.url}/generate",
        json={
            "inputs": "convert to JSON: I saw a puppy a cat and a raccoon during my bike ride in the park",
            "parameters": {
                "max_new_tokens": 200,
                "repetition_penalty": 1.3,
                "details": True,
                "grammar": {"type": "json", "value": ANIMALS},
            },
        },
        timeout=120,
    )
    jsonschema.validate(json.loads(generated(response)["generated_text"]), ANIMALS)


def test_a_regex_with_room_enough_ends_in_an_address(client: httpx.Client) -> None:
    grammar = {"type": "regex", "value": IPV4}
    parameters = {"max_new_tokens": 20, "seed": 1, "details": True, "grammar": grammar}
    response = client.post("/generate", json={"inputs": "Whats Googles DNS", "parameters": parameters})
    assert re.fullmatch(IPV4, generated(response)["generated_text"], re.ASCII)


def test_the_same_seed_gives_the_same_answer(client: httpx.Client) -> None:
    parameters = {
        "do_sample": True,
        "temperature": 1.0,
        "seed": 7,
        "max_new_tokens": 60,
        "grammar": {"type": "json", "value": ANIMALS},
    }
    request = {"inputs": "I saw two dogs at the lake.", "parameters": parameters}
    first, second = (client.post("/generate", json=request).json() for _ in range(2))
    assert first == second


def test_a_stream_sends_the_answer_piece_by_piece(client: httpx.Client) -> None:
    parameters = {"max_new_tokens": 120, "details": True, "grammar": {"type": "json", "value": ANIMALS}}
    body = {"inputs": "I saw a puppy and a cat in the park", "parameters": parameters}
    with client.stream("POST", "/generate_stream", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [
            json.loads(line.removeprefix("data:"))
            for line in response.iter_lines()
            if line.startswith("data:")
        ]
    pieces = "".join(event["token"]["text"] for event in events if not event["token"]["special"])
    assert pieces == events[-1]["generated_text"]
    assert all(event["generated_text"] is None for event in events[:-1])
    if events[-1]["details"]["finish_reason"] == "eos_token":
        jsonschema.validate(json.loads(pieces), ANIMALS)


def test_the_capital_of_france_is_paris(client: httpx.Client) -> None:
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    response = client.post("/generate", json={"inputs": prompt, "parameters": {"max_new_tokens": 20}})
    assert "Paris" in response.json()["generated_text"]


def test_health_info_and_the_api_documentation_are_there(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200
    info = client.get("/info").json()
    assert info["max_total_tokens"] == 1024
    assert client.get("/docs").status_code == 200
