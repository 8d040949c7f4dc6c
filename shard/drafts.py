"""Draft tokens: what a grammar forces the model to say is read ahead, and kept as far as the model agrees."""

from __future__ import annotations

import codecs
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from shard import sequence
from shard.answer import Sampled
from shard.sequence import Slice

MOST_TOKENS = 16
"""Drafts of one sequence in one step."""
MOST_KNOWN = 4096
"""Texts whose tokens are remembered."""
NEUTRAL = "\n"
"""A context that most tokenizers join to nothing that follows."""


class Drafter:
    """Proposes the tokens of forced text, as the tokenizer itself splits it behind the answer's last token.

    A draft may be wrong, for the model may split the text otherwise; what comes of it is what would have
    come without it.
    """

    def __init__(self, encode: Callable[[str], list[int]], token_bytes: Sequence[bytes | None]) -> None:
        """`encode` splits a text and adds nothing; `token_bytes[id]` is what a token stands for, or None."""
        self._encode = encode
        self._token_bytes = token_bytes
        self._known: OrderedDict[tuple[int, bytes], tuple[int, ...]] = OrderedDict()

    def propose(self, sequence: sequence.Sequence) -> Sequence[int]:
        """The next tokens of an answer; one less than it may still have, for the model has the last word."""
        room = min(MOST_TOKENS, sequence.max_new_tokens - sequence.generated - 1)
        text = sequence.constraint.forced() if sequence.constraint else b""
        return self._tokens(sequence.tokens[-1], text)[:room] if text and room > 0 else ()

    def _tokens(self, last: int, text: bytes) -> tuple[int, ...]:
        key = (last, text)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._split(self._token_bytes[last] or b"", _whole(text))
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found

    def _split(self, before: bytes, text: str) -> tuple[int, ...]:
        """The tokens of `text` after `before`, or after nothing in particular if both share a token."""
        wanted = text.encode()
        for context in (_whole(before) or NEUTRAL, NEUTRAL):
            token_ids = self._encode(context + text)
            spelled = b""
            for place in reversed(range(len(token_ids))):
                spelled = (self._token_bytes[token_ids[place]] or b"") + spelled
                if len(spelled) >= len(wanted):
                    break
            if wanted and spelled == wanted:
                return tuple(token_ids[place:])
        return ()


def verified(slices: Iterable[Slice], chosen: Iterable[Sampled]) -> dict[sequence.Sequence, list[Sampled]]:
    """The tokens that the sequences get: choices, up to the first that is not what was drafted.

    Args:
        chosen: for each row of the slices, the model's choice after the drafts before it.
    """
    remaining = iter(chosen)
    kept: dict[sequence.Sequence, list[Sampled]] = {}
    for each in slices:
        choices = list(islice(remaining, len(each.rows)))
        drafted = [ahead.tokens[-1] for ahead in each.drafts]
        agreed = [choice.token_id == draft for choice, draft in zip(choices, drafted, strict=False)]
        if choices:
            kept[each.sequence] = choices[: [*agreed, False].index(False) + 1]
    return kept


def _whole(text: bytes) -> str:
    """The whole characters that a text begins with; none if it begins within one."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return ""
