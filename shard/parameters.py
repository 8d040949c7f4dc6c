"""Checks what a caller asks for, with TGI's messages: not every caller comes through the router."""

from __future__ import annotations

import math
import secrets

from protos import generation_pb2
from protos.errors import InvalidRequestError
from shard.sequence import Sampling

MAX_STOP_STRINGS = 64
"""Each is looked for at every token."""


def parse_sampling(message: generation_pb2.Sampling) -> Sampling:
    """The sampling parameters, a seed drawn if there is none.

    Raises:
        InvalidRequestError: one of them is out of range.
    """
    temperature = message.temperature if message.HasField("temperature") else 1.0
    penalty = message.repetition_penalty if message.HasField("repetition_penalty") else 1.0
    top_p = message.top_p if message.HasField("top_p") else 1.0
    if not _positive(temperature):
        raise InvalidRequestError("`temperature` must be strictly positive")
    if not _positive(penalty):
        raise InvalidRequestError("`repetition_penalty` must be strictly positive")
    if not 0 < top_p <= 1:
        raise InvalidRequestError("`top_p` must be > 0.0 and < 1.0")
    if message.HasField("top_k") and message.top_k == 0:
        raise InvalidRequestError("`top_k` must be strictly positive")
    return Sampling(
        do_sample=message.do_sample,
        temperature=temperature,
        top_k=message.top_k,
        top_p=top_p,
        repetition_penalty=penalty,
        seed=message.seed if message.HasField("seed") else secrets.randbits(64),
    )


def parse_stop_strings(message: generation_pb2.Stopping) -> list[str]:
    """The stop strings.

    Raises:
        InvalidRequestError: there are too many, or one is empty.
    """
    if len(message.stop) > MAX_STOP_STRINGS:
        raise InvalidRequestError(
            f"`stop` supports up to {MAX_STOP_STRINGS} stop sequences. Given: {len(message.stop)}"
        )
    if not all(message.stop):
        raise InvalidRequestError("`stop` must not hold an empty string")
    return list(message.stop)


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


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
