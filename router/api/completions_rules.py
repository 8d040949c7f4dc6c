"""The rules of POST /v1/completions, and the requests that are left once they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from router.api.completions_schema import CompletionRequest
from router.api.grammars import constraint
from router.api.openai_rules import Limits, Rule, check, choice_rules, logprob_rules, to_generation
from router.errors import RequestError
from router.request import GenerationRequest


@dataclass(frozen=True, kw_only=True)
class Completions:
    """What is asked for: as many generations as there are prompts, of which `n` answers each are returned."""

    requests: list[GenerationRequest]
    n: int
    echo: bool
    with_logprobs: bool
    with_usage_event: bool | None
    """Whether a stream tells the usage in an event of its own; None if nothing is said of it."""


def to_completions(body: CompletionRequest, *, limits: Limits) -> Completions:
    """What `body` asks for.

    Raises:
        RequestError: INVALID_ARGUMENT with the words of the first rule that is broken.
    """
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if body.suffix is not None:
        raise RequestError.suffix()
    if len(prompts) > limits.max_prompts:
        raise RequestError.batch_size(limits.max_prompts)
    n = 1 if body.n is None else body.n
    best_of = n if body.best_of is None else body.best_of
    check(_rules(body, limits, prompts, n=n, best_of=best_of))
    grammar = constraint(body)
    echo, with_logprobs = bool(body.echo), body.logprobs is not None
    requests = [
        to_generation(
            body,
            inputs=prompt,
            max_new_tokens=body.max_tokens,
            limits=limits,
            grammar=grammar,
            n=best_of,
            top_n_tokens=body.logprobs or 0,
            prefill_logprobs=echo and with_logprobs,
        )
        for prompt in prompts
    ]
    return Completions(
        requests=requests,
        n=n,
        echo=echo,
        with_logprobs=with_logprobs,
        with_usage_event=body.stream_options.include_usage if body.stream_options else None,
    )


def _rules(
    body: CompletionRequest, limits: Limits, prompts: list[str], *, n: int, best_of: int
) -> Iterator[Rule]:
    yield not all(prompts), "`prompt` cannot be empty"
    yield body.max_tokens == 0, "`max_tokens` must be strictly positive"
    yield from choice_rules(n, limits)
    yield from choice_rules(best_of, limits, name="best_of")
    yield best_of < n, "`best_of` must be >= `n`"
    yield body.stream is True and best_of > n, "`best_of` > `n` is not supported when streaming tokens"
    yield from logprob_rules(body.logprobs or 0, limits, name="logprobs")
