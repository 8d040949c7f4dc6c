"""Checks what a caller asks for, with TGI's messages: not every caller comes through the router."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from typing import TypeAlias

from protos import generation_pb2
from protos.errors import InvalidRequestError
from shard.deadline import Budget
from shard.sequence import Sampling, Watermark

MAX_STOP_STRINGS = 64
"""Each is looked for at every token."""
MAX_STOP_CHARACTERS = 1000
"""Of one stop string: so much of an answer is looked at again at every token."""
MAX_STOP_TOKENS = 64
MAX_BIASES = 1024
"""Each is added at every token."""
MAX_BIAS = 100.0
MAX_ANSWERS = 128
MAX_TOP_TOKENS = 100

Rule: TypeAlias = "tuple[bool, str]"
"""Whether it holds, and what to say if not."""


def parse_sampling(message: generation_pb2.Sampling, *, watermark: Watermark, vocabulary: int) -> Sampling:
    """The sampling parameters, a seed drawn if there is none.

    Args:
        watermark: what a watermark is here, if one is asked for.
        vocabulary: how many tokens there are.

    Raises:
        InvalidRequestError: one of them is out of range. The message names it.
    """
    sampling = Sampling(
        do_sample=message.do_sample,
        temperature=message.temperature if message.HasField("temperature") else 1.0,
        top_k=message.top_k,
        top_p=message.top_p if message.HasField("top_p") else 1.0,
        min_p=message.min_p,
        typical_p=message.typical_p if message.HasField("typical_p") else 1.0,
        repetition_penalty=message.repetition_penalty if message.HasField("repetition_penalty") else 1.0,
        frequency_penalty=message.frequency_penalty,
        presence_penalty=message.presence_penalty,
        logit_bias=tuple(sorted(message.logit_bias.items())),
        watermark=watermark if message.watermark else None,
        seed=message.seed if message.HasField("seed") else secrets.randbits(64),
    )
    _insist(_sampling_rules(sampling))
    if message.HasField("top_k") and message.top_k == 0:
        raise InvalidRequestError("`top_k` must be strictly positive")
    _insist(_bias_rules(message, vocabulary))
    return sampling


def _sampling_rules(own: Sampling) -> Iterator[Rule]:
    yield _positive(own.temperature), "`temperature` must be strictly positive"
    yield _positive(own.repetition_penalty), "`repetition_penalty` must be strictly positive"
    yield -2 <= own.frequency_penalty <= 2, "`frequency_penalty` must be >= -2.0 and <= 2.0"
    yield -2 <= own.presence_penalty <= 2, "`presence_penalty` must be >= -2.0 and <= 2.0"
    yield 0 < own.top_p <= 1, "`top_p` must be > 0.0 and < 1.0"
    yield 0 < own.typical_p <= 1, "`typical_p` must be > 0.0 and < 1.0"
    yield 0 <= own.min_p <= 1, "`min_p` must be >= 0.0 and <= 1.0"


def _bias_rules(message: generation_pb2.Sampling, vocabulary: int) -> Iterator[Rule]:
    count = len(message.logit_bias)
    yield count <= MAX_BIASES, f"`logit_bias` supports up to {MAX_BIASES} tokens. Given: {count}"
    for token_id, bias in message.logit_bias.items():
        yield _is_token(token_id, vocabulary, "logit_bias")
        yield abs(bias) <= MAX_BIAS, f"`logit_bias` must be >= -100.0 and <= 100.0. Token {token_id}: {bias}"


def answer_seed(seed: int, index: int) -> int:
    """The seed of one of several answers: the first one's is the request's own."""
    if index == 0:
        return seed
    digest = blake2b(seed.to_bytes(8, "little") + index.to_bytes(8, "little"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def parse_stop_strings(message: generation_pb2.Stopping) -> list[str]:
    """The stop strings.

    Raises:
        InvalidRequestError: there are too many, or one is empty or too long.
    """
    count, longest = len(message.stop), max(map(len, message.stop), default=0)
    most = MAX_STOP_STRINGS
    _insist(
        [
            (count <= most, f"`stop` supports up to {most} stop sequences. Given: {count}"),
            (all(message.stop), "`stop` must not hold an empty string"),
            (
                longest <= MAX_STOP_CHARACTERS,
                f"`stop` supports strings of up to {MAX_STOP_CHARACTERS} characters. Given: {longest}",
            ),
        ]
    )
    return list(message.stop)


def parse_stop_tokens(message: generation_pb2.Stopping, *, vocabulary: int) -> frozenset[int]:
    """The stop tokens.

    Raises:
        InvalidRequestError: there are too many, or one is not in the vocabulary.
    """
    count = len(message.stop_tokens)
    _insist([(count <= MAX_STOP_TOKENS, f"`stop_tokens` supports up to {MAX_STOP_TOKENS}. Given: {count}")])
    _insist(_is_token(token_id, vocabulary, "stop_tokens") for token_id in message.stop_tokens)
    return frozenset(message.stop_tokens)


def parse_max_new_tokens(message: generation_pb2.Stopping) -> int | None:
    """The most tokens to generate, if given.

    Raises:
        InvalidRequestError: it is 0.
    """
    if not message.HasField("max_new_tokens"):
        return None
    if message.max_new_tokens == 0:
        raise InvalidRequestError("`max_new_tokens` must be strictly positive")
    return message.max_new_tokens


def parse_min_new_tokens(message: generation_pb2.Stopping, *, max_new_tokens: int) -> int:
    """The fewest tokens to generate.

    Raises:
        InvalidRequestError: it is more than the most.
    """
    fewest = message.min_new_tokens
    _insist([(fewest <= max_new_tokens, f"`min_new_tokens` must be <= {max_new_tokens}. Given: {fewest}")])
    return fewest


def parse_budget(request: generation_pb2.GenerateRequest, *, max_new_tokens: int) -> Budget | None:
    """Within how many tokens the answer must have matched its grammar; None if it may be cut off.

    Raises:
        InvalidRequestError: an answer without a grammar is required to match it, or `complete` is unknown.
    """
    complete = request.stopping.complete
    if complete not in generation_pb2.Complete.values():
        raise InvalidRequestError(f"`complete` is {complete}, which is not known")
    required = complete == generation_pb2.COMPLETE_REQUIRED
    if required and not request.HasField("automaton"):
        raise InvalidRequestError("`complete` cannot be required without a grammar")
    off = complete == generation_pb2.COMPLETE_OFF
    return None if off else Budget(tokens=max_new_tokens, required=required)


def parse_truncate(request: generation_pb2.GenerateRequest, *, max_input_tokens: int) -> int | None:
    """How many tokens of the prompt to keep, if given.

    Raises:
        InvalidRequestError: it is 0, or more than a prompt may have.
    """
    if not request.HasField("truncate"):
        return None
    if not 0 < request.truncate <= max_input_tokens:
        raise InvalidRequestError(
            f"`truncate` must be strictly positive and less than {max_input_tokens}. "
            f"Given: {request.truncate}"
        )
    return request.truncate


def parse_n(request: generation_pb2.GenerateRequest) -> int:
    """How many answers to generate.

    Raises:
        InvalidRequestError: none, or too many.
    """
    if not request.HasField("n"):
        return 1
    _insist([(0 < request.n <= MAX_ANSWERS, f"`n` must be > 0 and <= {MAX_ANSWERS}. Given: {request.n}")])
    return request.n


def parse_top_n_tokens(request: generation_pb2.GenerateRequest) -> int:
    """How many of the likeliest tokens to tell.

    Raises:
        InvalidRequestError: too many.
    """
    count, most = request.top_n_tokens, MAX_TOP_TOKENS
    _insist([(count <= most, f"`top_n_tokens` must be >= 0 and <= {most}. Given: {count}")])
    return count


def parse_adapter(request: generation_pb2.GenerateRequest, *, loaded: Collection[str]) -> str | None:
    """The LoRA adapter, if one is named.

    Raises:
        InvalidRequestError: it is not one of `loaded`.
    """
    if not request.HasField("adapter_id"):
        return None
    name, there = request.adapter_id, ", ".join(sorted(loaded)) or "none"
    _insist([(name in loaded, f"`adapter_id` {name!r} is not loaded. Loaded adapters: {there}")])
    return name


def refuse_contradictions(request: generation_pb2.GenerateRequest) -> None:
    """Raise InvalidRequestError for parameters of which each would do, but not all of them."""
    if request.stopping.ignore_eos and request.HasField("automaton"):
        raise InvalidRequestError(
            "`ignore_eos` cannot be used with a grammar: its answers end with an end-of-sequence token"
        )


def _insist(rules: Iterable[Rule]) -> None:
    for holds, message in rules:
        if not holds:
            raise InvalidRequestError(message)


def _is_token(token_id: int, vocabulary: int, field: str) -> Rule:
    return token_id < vocabulary, f"`{field}` names token {token_id}, but there are {vocabulary} tokens"


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
