"""TGI's parameters over HTTP, on the real model: they do something, and what they say of it is right."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

PROMPT = "The sea is"


def ask(client: httpx.Client, **parameters: Any) -> Any:
    body = {"inputs": PROMPT, "parameters": {"max_new_tokens": 16, "details": True, **parameters}}
    response = client.post("/generate", json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    "parameters",
    [
        {"repetition_penalty": 2.0},
        {"frequency_penalty": 2.0},
        {"watermark": True},
        {"typical_p": 0.3, "temperature": 2.0, "seed": 1},
        {"top_k": 20, "temperature": 2.0, "seed": 1},
    ],
)
def test_a_parameter_changes_the_answer_and_a_second_request_repeats_it(
    client: httpx.Client, parameters: Any
) -> None:
    answer = ask(client, **parameters)
    assert answer != ask(client)
    assert answer == ask(client, **parameters)


def test_the_best_of_two_answers_is_the_likelier_one_and_its_seed_repeats_it(client: httpx.Client) -> None:
    answer = ask(client, best_of=2, temperature=1.5)
    (other,) = answer["details"]["best_of_sequences"]
    assert mean_logprob(answer["details"]) >= mean_logprob(other)
    assert ask(client, seed=other["seed"], temperature=1.5)["generated_text"] == other["generated_text"]
    again = ask(client, seed=answer["details"]["seed"], temperature=1.5)
    assert again["generated_text"] == answer["generated_text"]


def mean_logprob(details: Any) -> float:
    return float(sum(token["logprob"] for token in details["tokens"]) / len(details["tokens"]))


def test_the_likeliest_token_is_the_one_that_a_greedy_answer_takes(client: httpx.Client) -> None:
    details = ask(client, top_n_tokens=3)["details"]
    for token, likeliest in zip(details["tokens"], details["top_tokens"], strict=True):
        assert len(likeliest) == 3
        assert (likeliest[0]["id"], likeliest[0]["logprob"]) == (token["id"], pytest.approx(token["logprob"]))


def test_the_prompt_s_tokens_are_told_with_their_log_probabilities(client: httpx.Client) -> None:
    prefill = ask(client, decoder_input_details=True)["details"]["prefill"]
    assert "".join(token["text"] for token in prefill) == PROMPT
    assert prefill[0]["logprob"] is None
    assert all(token["logprob"] < 0 for token in prefill[1:])
