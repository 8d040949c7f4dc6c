"""The rules that all of OpenAI's routes have for requests, and the request that is left once they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from router.api.openai_schema import OpenAIParameters
from router.errors import RequestError
from router.grammar import Grammar
from router.request import GenerationRequest, Sampling


class Limits(NamedTuple):
    """What the operator allows of a request."""

    max_choices: int
    """Answers to one prompt."""
    max_stop_sequences: int
    max_logprobs: int
    """Likeliest tokens to tell beside each one."""
    max_prompts: int


Rule = tuple[bool, str]
"""Whether it is broken, and what to say then."""


def check(*groups: Iterator[Rule]) -> None:
    """Refuse what breaks a rule.

    Raises:
        RequestError: INVALID_ARGUMENT with the words of the first rule that is broken.
    """
    for rules in groups:
        broken = next((message for wrong, message in rules if wrong), None)
        if broken is not None:
            raise RequestError.invalid(broken)


def to_generation(
    parameters: OpenAIParameters,
    *,
    inputs: str,
    max_new_tokens: int | None,
    limits: Limits,
    grammar: Grammar | None,
    n: int,
    top_n_tokens: int = 0,
    prefill_logprobs: bool = False,
) -> GenerationRequest:
    """What `parameters` ask for, of the prompt `inputs`.

    Raises:
        RequestError: INVALID_ARGUMENT with the words of the first rule that is broken.
    """
    check(_sampling_rules(parameters), _penalty_rules(parameters), _length_rules(parameters, limits))
    p = parameters
    return GenerationRequest(
        inputs=inputs,
        sampling=Sampling(
            do_sample=p.temperature != 0,
            temperature=p.temperature or None,
            top_k=p.top_k if p.top_k and p.top_k > 0 else None,
            top_p=p.top_p,
            min_p=p.min_p or None,
            repetition_penalty=p.repetition_penalty,
            frequency_penalty=p.frequency_penalty or None,
            presence_penalty=p.presence_penalty or None,
            logit_bias=tuple((int(token), bias) for token, bias in (p.logit_bias or {}).items()),
            seed=None if p.seed is None else p.seed % 2**64,
        ),
        max_new_tokens=max_new_tokens,
        min_new_tokens=p.min_tokens or 0,
        stop=_stop(p),
        exclude_stop=not p.include_stop_str_in_output,
        stop_tokens=tuple(p.stop_token_ids or ()),
        ignore_eos=bool(p.ignore_eos),
        truncate=p.truncate_prompt_tokens,
        grammar=grammar,
        complete=p.complete or "auto",
        n=n,
        top_n_tokens=top_n_tokens,
        prefill_logprobs=prefill_logprobs,
    )


def choice_rules(n: int, limits: Limits, *, name: str = "n") -> Iterator[Rule]:
    """How many answers to one prompt there may be."""
    most = limits.max_choices
    yield not 0 < n <= most, f"`{name}` must be > 0 and <= {most}. Given: {n}"


def logprob_rules(count: int, limits: Limits, *, name: str) -> Iterator[Rule]:
    """How many of the likeliest tokens may be asked for."""
    most = limits.max_logprobs
    yield count > most, f"`{name}` must be >= 0 and <= {most}. Given: {count}"


def _sampling_rules(p: OpenAIParameters) -> Iterator[Rule]:
    yield p.temperature is not None and p.temperature < 0, "`temperature` must be >= 0.0"
    yield p.top_p is not None and not 0 < p.top_p <= 1, "`top_p` must be > 0.0 and <= 1.0"
    yield p.top_k is not None and p.top_k < -1, "`top_k` must be >= -1"
    yield p.min_p is not None and not 0 <= p.min_p <= 1, "`min_p` must be >= 0.0 and <= 1.0"
    penalty = p.repetition_penalty
    yield penalty is not None and penalty <= 0, "`repetition_penalty` must be strictly positive"


def _penalty_rules(p: OpenAIParameters) -> Iterator[Rule]:
    yield abs(p.frequency_penalty or 0) > 2, "`frequency_penalty` must be >= -2.0 and <= 2.0"
    yield abs(p.presence_penalty or 0) > 2, "`presence_penalty` must be >= -2.0 and <= 2.0"
    bias = p.logit_bias or {}
    yield not all(map(_is_token, bias)), "`logit_bias` must name tokens by their numbers"
    yield len({int(token) for token in bias}) < len(bias), "`logit_bias` must name each token once"
    yield any(abs(each) > 100 for each in bias.values()), "`logit_bias` must be >= -100 and <= 100"


def _length_rules(p: OpenAIParameters, limits: Limits) -> Iterator[Rule]:
    stop, most = _stop(p), limits.max_stop_sequences
    yield len(stop) > most, f"`stop` supports up to {most} stop sequences. Given: {len(stop)}"
    yield "" in stop, "`stop` must not contain an empty string"
    streaming = p.stream is True
    yield p.stream_options is not None and not streaming, "`stream_options` is for streams only"


def _is_token(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= 10 and int(name) < 2**32


def _stop(p: OpenAIParameters) -> tuple[str, ...]:
    return (p.stop,) if isinstance(p.stop, str) else tuple(p.stop or ())
