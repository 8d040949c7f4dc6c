"""The model's tokenizer: text to tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from protos.errors import InvalidRequestError
from shard.markers import MARKERS


@dataclass(frozen=True)
class Span:
    """A token and the characters [start, stop) of the text that it stands for."""

    token_id: int
    start: int
    stop: int


class Tokenizer:
    """Wraps transformers' tokenizer. Encoding keeps no state, so threads may share it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.transformers = tokenizer
        self._encode: Any = tokenizer  # its call is typed for one text and many at once

    @property
    def special_tokens(self) -> dict[int, str]:
        """Names of the tokens whose text is not part of an answer."""
        added: dict[int, Any] = getattr(self.transformers, "added_tokens_decoder", {})
        special = {token_id: str(token) for token_id, token in added.items() if token.special}
        named = zip(self.transformers.all_special_ids, self.transformers.all_special_tokens, strict=True)
        every = special | dict(named)
        return {token_id: name for token_id, name in every.items() if name not in MARKERS}

    @property
    def chat_templates(self) -> dict[str, str]:
        """The model's Jinja templates for conversations, by name; the one without a name is "default"."""
        templates: dict[str, str] | str | None = self.transformers.chat_template
        return {"default": templates} if isinstance(templates, str) else dict(templates or {})

    @property
    def template_tokens(self) -> dict[str, str]:
        """The special tokens by the names that chat templates have for them."""
        named = self.transformers.special_tokens_map.items()
        return {name: str(token) for name, token in named if not isinstance(token, list)}

    @property
    def eos_id(self) -> int | None:
        """The end-of-sequence token."""
        eos_id: int | None = self.transformers.eos_token_id
        return eos_id

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The tokens of a prompt, with the special ones that the model expects around it, if wanted."""
        token_ids: list[int] = self._encode(text, add_special_tokens=add_special_tokens)["input_ids"]
        return token_ids

    def spans(self, text: str, *, add_special_tokens: bool) -> list[Span]:
        """The tokens of a text and where in it they are.

        Raises:
            InvalidRequestError: this tokenizer does not know where its tokens come from.
        """
        if not self.transformers.is_fast:
            raise InvalidRequestError("this model's tokenizer cannot tell where its tokens are in the text")
        encoded = self._encode(text, add_special_tokens=add_special_tokens, return_offsets_mapping=True)
        pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        return [Span(token_id, start, stop) for token_id, (start, stop) in pairs]
