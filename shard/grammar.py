"""One grammar over one vocabulary: the automaton of bytes, followed token by token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protos import automaton_pb2
from protos.automaton import Automaton, Configuration
from protos.errors import GenerationError
from shard.trie import Index
from shard.vocabulary import Vocabulary
from shard.walk import Walk

Mask = NDArray[np.int32]
"""(ceil(size / 32),), read-only: bit i of word w, counted from the least significant, says whether token
32 * w + i may come next."""


class Grammar:
    """One automaton over one vocabulary. Its `number` is its own: no other has it, nor had it before."""

    def __init__(self, number: int, message: automaton_pb2.Automaton, vocabulary: Vocabulary) -> None:
        self.number = number
        self.message = message
        self.automaton = Automaton.from_message(message)
        self.num_bytes = self.automaton.transitions.nbytes
        """Memory that its table takes."""
        self._vocabulary = vocabulary
        self._walk = Walk(vocabulary.trie, self.automaton)

    def read(self, configuration: Configuration, token_id: int) -> Configuration | None:
        """The configuration after one more token, or None if that token ended the answer.

        Raises:
            ValueError: the token is not allowed there.
        """
        vocabulary, following = self._vocabulary, configuration
        if token_id in vocabulary.eos_ids:
            if not self.automaton.ends(configuration):
                raise ValueError(f"token {token_id} would end the answer, which does not match yet")
            return None
        text = vocabulary.token_bytes[token_id] if 0 <= token_id < vocabulary.size else None
        if text is None:
            raise ValueError(f"token {token_id} is no text: a grammar never allows it")
        for byte in text:
            stepped = self.automaton.step(following, byte)
            if stepped is None:
                raise ValueError(f"token {token_id} ({text!r}) is not allowed here")
            following = stepped
        return following

    def mask(self, configuration: Configuration) -> Mask:
        """Compute the tokens that are allowed in a configuration.

        Raises:
            GenerationError: there are none.
        """
        vocabulary = self._vocabulary
        begins, ends = self._walk.allowed(configuration)
        may_end = self.automaton.ends(configuration)
        if not len(begins) and not may_end:
            raise GenerationError(self._dead_end(configuration))
        allowed = self._allowed(begins, ends)
        if may_end:
            allowed[list(vocabulary.eos_ids)] = True
        mask = np.packbits(allowed, bitorder="little").view(np.int32)
        mask.setflags(write=False)
        return mask

    def _allowed(self, begins: Index, ends: Index) -> NDArray[np.bool_]:
        """Ranges of ranks as one flag an id, padded to whole words."""
        trie, is_text = self._vocabulary.trie, self._vocabulary.is_text
        if 2 * (ends - begins).sum() < len(trie.token_ids):
            allowed = np.zeros_like(is_text)
            allowed[trie.tokens(begins, ends)] = True
            return allowed
        order = begins.argsort()  # most tokens: what lies between the ranges is less to write
        allowed = is_text.copy()
        refused = trie.tokens(np.append(0, ends[order]), np.append(begins[order], len(trie.token_ids)))
        allowed[refused] = False
        return allowed

    def _dead_end(self, configuration: Configuration) -> str:
        asked = [f"0x{byte:02X}" for byte in range(256) if self.automaton.step(configuration, byte)]
        return (
            "the grammar asks for what no token of this model's vocabulary spells: "
            f"the next byte must be {', '.join(asked[:8])}{' ...' if len(asked) > 8 else ''}"
        )
