"""What the guidance guide promises for /generate, as its readers would try it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import httpx
import jsonschema
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


def generated(response: httpx.Response) -> dict[str, Any]:
    """The answer, which must be there and must have ended by itself."""
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["details"]["finish_reason"] == "eos_token", answer
    return answer


def test_the_first_request_is_answered_with_json_that_matches_its_schema(client: httpx.Client) -> None:
    body = {
        "inputs": "I saw a puppy a cat and a raccoon during my bike ride in the park",
        "parameters": {
            "repetition_penalty": 1.3,
            "details": True,
            "grammar": {"type": "json", "value": ANIMALS},
        },
    }
    response = client.post(
        "/generate", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    answer = json.loads(generated(response)["generated_text"])
    jsonschema.validate(answer, ANIMALS)
    assert 1 <= answer["animals_seen"] <= 5


def test_a_pydantic_model_shapes_the_answer(client: httpx.Client) -> None:
    prompt = "convert to JSON: I saw a puppy a cat and a raccoon during my bike ride in the park"
    assert AnimalsOfOld.model_json_schema()["properties"] == Animals.model_json_schema()["properties"]
    for model in (Animals, AnimalsOfOld):
        grammar = {"type": "json", "value": model.model_json_schema()}
        response = client.post(
            "/generate",
            json={
                "inputs": prompt,
                "parameters": {"repetition_penalty": 1.3, "details": True, "grammar": grammar},
            },
        )
        model.model_validate_json(generated(response)["generated_text"])


def test_a_schema_with_a_limit_of_tokens_shapes_the_answer(client: httpx.Client) -> None:
    response = client.post(
        "/generate",
        json={
            "inputs": "convert to JSON: I saw a puppy a cat and a raccoon during my bike ride in the park",
            "parameters": {
                "max_new_tokens": 200,
                "repetition_penalty": 1.3,
                "details": True,
                "grammar": {"type": "json", "value": ANIMALS},
            },
        },
    )
    jsonschema.validate(json.loads(generated(response)["generated_text"]), ANIMALS)


def test_a_regex_shapes_the_answer_as_the_guides_client_asks_for_it(client: httpx.Client) -> None:
    body = {
        "inputs": "Whats Googles DNS",
        "stream": False,
        "parameters": {  # everything text_generation's AsyncClient.generate sends
            "do_sample": False,
            "max_new_tokens": 10,
            "repetition_penalty": None,
            "frequency_penalty": None,
            "return_full_text": False,
            "stop": [],
            "seed": 1,
            "temperature": None,
            "top_k": None,
            "top_p": None,
            "truncate": None,
            "typical_p": None,
            "best_of": None,
            "watermark": False,
            "details": True,
            "decoder_input_details": True,
            "top_n_tokens": None,
            "grammar": {"type": "regex", "value": IPV4},
        },
    }
    response = client.post("/generate", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    details = answer["details"]
    assert "".join(token["text"] for token in details["prefill"]) == body["inputs"]
    assert details["generated_tokens"] == len(details["tokens"]) <= 10
    if details["finish_reason"] == "eos_token":
        assert re.fullmatch(IPV4, answer["generated_text"], re.ASCII)
    else:
        assert details["finish_reason"] == "length"


def test_the_same_regex_with_room_enough_ends_in_an_address(client: httpx.Client) -> None:
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
