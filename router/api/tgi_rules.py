"""TGI's rules for requests, in its order and in its words, and the request that is left once they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from router.api.grammars import tgi_grammar
from router.api.tgi_schema import GenerateParameters, GenerateRequest
from router.errors import RequestError
from router.request import GenerationRequest, Sampling


class Limits(NamedTuple):
    """What the operator allows of a request."""

    max_best_of: int
    max_stop_sequences: int
    max_top_n_tokens: int


def to_generation(body: GenerateRequest, *, limits: Limits, streaming: bool) -> GenerationRequest:
    """What `body` asks for. The limits in tokens are left to the shard, the grammar to its service.

    Raises:
        RequestError: INVALID_ARGUMENT with the words of the first rule that is broken.
    """
    parameters = body.parameters or GenerateParameters(do_sample=True)
    sampling = _samples(parameters)
    for rules in (
        _route_rules(body, parameters, streaming=streaming),
        _sampling_rules(parameters, limits, sampling=sampling),
        _length_rules(body, parameters, limits),
    ):
        broken = next((message for wrong, message in rules if wrong), None)
        if broken is not None:
            raise RequestError.invalid(broken)
    return GenerationRequest(
        inputs=body.inputs,
        sampling=Sampling(
            do_sample=sampling,
            temperature=parameters.temperature,
            top_k=parameters.top_k,
            top_p=parameters.top_p,
            typical_p=parameters.typical_p,
            repetition_penalty=parameters.repetition_penalty,
            frequency_penalty=parameters.frequency_penalty or None,
            watermark=bool(parameters.watermark),
            seed=parameters.seed,
        ),
        max_new_tokens=parameters.max_new_tokens,
        stop=tuple(parameters.stop or ()),
        truncate=parameters.truncate,
        grammar=tgi_grammar(parameters.grammar) if parameters.grammar else None,
        complete=parameters.complete or "auto",
        adapter_id=parameters.adapter_id,
        n=parameters.best_of or 1,
        top_n_tokens=parameters.top_n_tokens or 0,
        prefill_logprobs=bool(parameters.decoder_input_details),
    )


Rule = tuple[bool, str]
"""Whether it is broken, and what to say then."""


def _samples(p: GenerateParameters) -> bool:
    shaping = (p.temperature, p.top_k, p.top_p, p.typical_p)
    return bool(p.do_sample) or any(value is not None for value in shaping)


def _route_rules(body: GenerateRequest, p: GenerateParameters, *, streaming: bool) -> Iterator[Rule]:
    best_of = 1 if p.best_of is None else p.best_of
    if streaming:
        yield best_of != 1, "`best_of` != 1 is not supported when streaming tokens"
        yield (
            p.decoder_input_details is True,
            "`decoder_input_details` == true is not supported when streaming tokens",
        )
        yield body.stream is False, "`stream` must not be false on /generate_stream; use /generate"
    else:
        yield body.stream is True, "`stream` must not be true on /generate; use /generate_stream"


def _sampling_rules(p: GenerateParameters, limits: Limits, *, sampling: bool) -> Iterator[Rule]:
    best_of = 1 if p.best_of is None else p.best_of
    most = limits.max_best_of
    yield most == 1 and best_of != 1, "`best_of` != 1 is not allowed for this endpoint"
    yield not 0 < best_of <= most, f"`best_of` must be > 0 and <= {most}. Given: {best_of}"
    yield best_of > 1 and not sampling, "you must use sampling when `best_of` is > 1"
    yield _outside(p.temperature, above=0), "`temperature` must be strictly positive"
    yield _outside(p.repetition_penalty, above=0), "`repetition_penalty` must be strictly positive"
    yield abs(p.frequency_penalty or 0) > 2, "`frequency_penalty` must be >= -2.0 and <= 2.0"
    yield _outside(p.top_p, above=0, below=1), "`top_p` must be > 0.0 and < 1.0"
    yield _outside(p.typical_p, above=0, below=1), "`typical_p` must be > 0.0 and < 1.0"
    yield _outside(p.top_k, above=0), "`top_k` must be strictly positive"


def _length_rules(body: GenerateRequest, p: GenerateParameters, limits: Limits) -> Iterator[Rule]:
    stop, most = p.stop or [], limits.max_stop_sequences
    yield p.max_new_tokens == 0, "`max_new_tokens` must be strictly positive"
    yield len(stop) > most, f"`stop` supports up to {most} stop sequences. Given: {len(stop)}"
    yield "" in stop, "`stop` must not contain an empty string"
    yield (p.best_of or 1) > 1 and p.seed is not None, "`seed` must not be set when `best_of` > 1"
    top_n, most = p.top_n_tokens or 0, limits.max_top_n_tokens
    yield top_n > most, f"`top_n_tokens` must be >= 0 and <= {most}. Given: {top_n}"
    yield not body.inputs, "`inputs` cannot be empty"


def _outside(value: float | None, *, above: float, below: float = float("inf")) -> bool:
    return value is not None and not above < value < below
