"""Events of answers as the messages that callers get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protos import generation_pb2
from shard import sequence
from shard.answer import Answer, Event
from shard.stopping import FinishReason

FINISH_REASONS = {
    FinishReason.LENGTH: generation_pb2.FINISH_REASON_LENGTH,
    FinishReason.EOS_TOKEN: generation_pb2.FINISH_REASON_EOS_TOKEN,
    FinishReason.STOP_SEQUENCE: generation_pb2.FINISH_REASON_STOP_SEQUENCE,
}


class Messages:
    """Writes messages for one vocabulary."""

    def __init__(self, token_bytes: Sequence[bytes | None], special_tokens: Mapping[int, str]) -> None:
        """`token_bytes[id]` is what a token stands for; None for a special token, which has a name."""
        self._token_bytes = token_bytes
        self._special_tokens = special_tokens

    def event(
        self, event: Event, answer: Answer, own: sequence.Sequence, *, index: int
    ) -> generation_pb2.GenerateEvent:
        """The message of the latest event of an answer, the `index`-th to its prompt."""
        token = generation_pb2.Token(
            id=event.token_id, text=event.text, logprob=event.logprob, special=event.special
        )
        return generation_pb2.GenerateEvent(
            token=token,
            completion=_completion(event.finish_reason, answer, own) if event.finish_reason else None,
            index=index,
            top_tokens=[self._token(token_id, logprob) for token_id, logprob in event.top],
        )

    def _token(self, token_id: int, logprob: float) -> generation_pb2.Token:
        return generation_pb2.Token(
            id=token_id,
            text=self._text(token_id),
            logprob=logprob,
            special=token_id in self._special_tokens,
        )

    def prefill(self, own: sequence.Sequence) -> list[generation_pb2.PrefillToken]:
        """The tokens of a sequence's prompt, if their log-probabilities are wanted. They are known by now."""
        if own.prompt_logprobs is None:
            return []
        logprobs = [None, *own.prompt_logprobs.values]
        return [
            generation_pb2.PrefillToken(id=token_id, text=self._text(token_id), logprob=logprob)
            for token_id, logprob in zip(own.tokens[: own.input_length], logprobs, strict=True)
        ]

    def _text(self, token_id: int) -> str:
        name = self._special_tokens.get(token_id)
        return (self._token_bytes[token_id] or b"").decode(errors="replace") if name is None else name


def _completion(reason: FinishReason, answer: Answer, own: sequence.Sequence) -> generation_pb2.Completion:
    return generation_pb2.Completion(
        text=answer.text,
        finish_reason=FINISH_REASONS[reason],
        generated_tokens=answer.generated,
        input_tokens=own.input_length,
        seed=own.sampling.seed if own.sampling.do_sample else None,
        cumulative_logprob=answer.logprob,
        queue_seconds=answer.timing.queue_seconds,
        inference_seconds=answer.timing.inference_seconds,
    )
