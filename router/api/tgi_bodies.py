"""What was generated, as the bodies of TGI's answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from router import token_event
from router.answers import Answer
from router.api.tgi_schema import (
    BestOfSequence,
    Details,
    GenerateParameters,
    GenerateRequest,
    GenerateResponse,
    PrefillToken,
    Token,
)
from router.token_event import TokenEvent


def generate_response(
    body: GenerateRequest,
    best: Answer,
    *,
    others: Sequence[Answer],
    prefill: Iterable[token_event.PrefillToken],
) -> GenerateResponse:
    """The answer of POST /generate; the `others` are answers that were not as good."""
    text = _full_text(body, best.completion.text)
    parameters = body.parameters
    if parameters is None or not (parameters.details or parameters.decoder_input_details):
        return GenerateResponse(generated_text=text)
    prompt = [PrefillToken(id=each.id, text=each.text, logprob=each.logprob) for each in prefill]
    sequences = [
        BestOfSequence(
            generated_text=_full_text(body, each.completion.text),
            finish_reason=each.completion.finish_reason,
            generated_tokens=each.completion.generated_tokens,
            seed=each.completion.seed,
            prefill=prompt,
            tokens=[_token(token) for token in each.tokens],
            **_top_tokens(each),
        )
        for each in others
    ]
    others_or_none: dict[str, Any] = {"best_of_sequences": sequences} if sequences else {}
    details = Details(
        finish_reason=best.completion.finish_reason,
        generated_tokens=best.completion.generated_tokens,
        seed=best.completion.seed,
        prefill=prompt,
        tokens=[_token(token) for token in best.tokens],
        **others_or_none,
        **_top_tokens(best),
    )
    return GenerateResponse(generated_text=text, details=details)


def stream_event(body: GenerateRequest, event: TokenEvent, *, index: int) -> dict[str, Any]:
    """The `index`-th event of POST /generate_stream: a `StreamResponse`, without the cost of making one."""
    completion, details = event.completion, None
    if completion and body.parameters and body.parameters.details:
        details = {
            "finish_reason": completion.finish_reason,
            "generated_tokens": completion.generated_tokens,
            "seed": completion.seed,
            "input_length": completion.input_tokens,
        }
    top_tokens = {"top_tokens": [_plain(each) for each in event.top_tokens]} if event.top_tokens else {}
    return {
        "index": index,
        "token": _plain(event.token),
        **top_tokens,
        "generated_text": _full_text(body, completion.text) if completion else None,
        "details": details,
    }


def with_default_full_text(body: GenerateRequest) -> GenerateRequest:
    """`body` as POST / means it: the text is the full one unless it says otherwise."""
    parameters = body.parameters or GenerateParameters(do_sample=True)
    if parameters.return_full_text is not None:
        return body
    full = parameters.model_copy(update={"return_full_text": True})
    return body.model_copy(update={"parameters": full})


def _top_tokens(answer: Answer) -> dict[str, Any]:
    if not any(answer.top_tokens):
        return {}
    return {"top_tokens": [[_token(each) for each in likeliest] for likeliest in answer.top_tokens]}


def _full_text(body: GenerateRequest, text: str) -> str:
    full = body.parameters is not None and body.parameters.return_full_text
    return body.inputs + text if full else text


def _token(token: token_event.Token) -> Token:
    return Token(id=token.id, text=token.text, logprob=token.logprob, special=token.special)


def _plain(token: token_event.Token) -> dict[str, Any]:
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "special": token.special}
