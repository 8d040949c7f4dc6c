"""How long prompts and answers may be, and the sizes that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from protos.errors import InvalidRequestError


class LimitError(ValueError):
    """The settings contradict each other or the model."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """0 < max_input_tokens < max_total_tokens, and the cache can hold a request of max_total_tokens."""

    max_input_tokens: int
    max_total_tokens: int

    @classmethod
    def choose(
        cls, *, max_input: int | None, max_total: int | None, model_tokens: int | None, cache_tokens: int
    ) -> Limits:
        """The limits as set, or else as the model and the cache allow.

        Args:
            model_tokens: positions that the model was made for, None if there is no such bound.

        Raises:
            LimitError: they cannot be kept.
        """
        possible = min(model_tokens or cache_tokens, cache_tokens)
        total = max_total or possible
        if model_tokens and total > model_tokens:
            raise LimitError(f"SHARD_MAX_TOTAL_TOKENS {total} exceeds the {model_tokens} tokens of the model")
        if total > cache_tokens:
            raise LimitError(
                f"SHARD_MAX_TOTAL_TOKENS {total} exceeds the {cache_tokens} tokens of the key-value cache"
            )
        longest = max_input or total - 1
        if longest >= total:
            raise LimitError(f"SHARD_MAX_INPUT_TOKENS {longest} leaves no room for an answer within {total}")
        return cls(max_input_tokens=longest, max_total_tokens=total)

    def max_new_tokens(self, *, input_tokens: int, asked: int | None) -> int:
        """The most tokens of an answer to a prompt of `input_tokens`.

        Raises:
            InvalidRequestError: with TGI's messages, in its order.
        """
        new = asked if asked is not None else max(0, self.max_total_tokens - input_tokens)
        if input_tokens + new > self.max_total_tokens:
            raise InvalidRequestError(
                f"`inputs` tokens + `max_new_tokens` must be <= {self.max_total_tokens}. "
                f"Given: {input_tokens} `inputs` tokens and {new} `max_new_tokens`"
            )
        if input_tokens > self.max_input_tokens:
            raise InvalidRequestError(
                f"`inputs` must have less than {self.max_input_tokens} tokens. Given: {input_tokens}"
            )
        return new
