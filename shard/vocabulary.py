"""The model's tokens as bytes: what a grammar over bytes needs to know of a tokenizer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from shard.token_bytes import UnsupportedTokenizerError, read_token_bytes
from shard.trie import Trie

WORD_BITS = 32
"""Tokens in one word of a mask."""


class Vocabulary:
    """The bytes of every token id that the model's logits have a place for.

    `token_bytes[id]` is None for an id that stands for no text: special tokens, ids past the tokenizer's, and
    the end-of-sequence tokens, which a grammar allows as ends only.
    """

    def __init__(self, token_bytes: Sequence[bytes | None], *, eos_ids: Collection[int]) -> None:
        """Lay out the tokens.

        Args:
            token_bytes: what each id stands for; None or empty for those that are no text.
            eos_ids: the tokens that end an answer.

        Raises:
            UnsupportedTokenizerError: no token ends an answer.
        """
        if not eos_ids or not all(0 <= eos_id < len(token_bytes) for eos_id in eos_ids):
            raise UnsupportedTokenizerError(
                f"an answer must have a token to end with, below {len(token_bytes)}: {sorted(eos_ids)}"
            )
        self.eos_ids = frozenset(eos_ids)
        self.token_bytes = tuple(
            None if token_id in self.eos_ids else text or None for token_id, text in enumerate(token_bytes)
        )
        self.trie = Trie.from_tokens(self.token_bytes)
        self.is_text = np.zeros(-(-self.size // WORD_BITS) * WORD_BITS, dtype=np.bool_)
        """Whether each id stands for text, padded to whole words of a mask."""
        self.is_text[self.trie.token_ids] = True
        self.is_text.setflags(write=False)
        self.longest = max(map(len, filter(None, self.token_bytes)), default=0)
        """Bytes of the longest token."""
        spelled = (
            byte for byte in range(256) if (node := self.trie.child(0, byte)) and self.trie.spells(node)
        )
        self.spelled_bytes = frozenset(spelled)
        """The bytes that are a token each."""

    @classmethod
    def from_tokenizer(
        cls, tokenizer: PreTrainedTokenizerBase, *, size: int, eos_ids: Collection[int]
    ) -> Vocabulary:
        """Read the vocabulary of a fast tokenizer.

        Args:
            tokenizer: byte-level BPE (GPT-2, tiktoken) or SentencePiece with byte fallback.
            size: width of the model's logits, which may have more places than there are tokens.
            eos_ids: the tokens that end an answer.

        Raises:
            UnsupportedTokenizerError: the exact bytes of its tokens cannot be determined.
        """
        spelled = read_token_bytes(tokenizer)
        return cls([spelled.get(token_id) for token_id in range(size)], eos_ids=eos_ids)

    @property
    def size(self) -> int:
        """Width of the logits, in tokens."""
        return len(self.token_bytes)
