"""One grammar over one vocabulary: the automaton of bytes, followed token by token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protos import automaton_pb2
from protos.automaton import Automaton, Configuration
from protos.errors import GenerationError
from shard.needs import Needs
from shard.reach import Reach, most_bytes
from shard.shortcut import find_shortcut
from shard.trie import Index
from shard.vocabulary import Vocabulary
from shard.walk import Visits, Walk

Mask = NDArray[np.int32]
"""(ceil(size / 32),), read-only: bit i of word w, counted from the least significant, says whether token
32 * w + i may come next."""


LONGEST_FORCED = 128
"""Bytes that are looked ahead."""


class Grammar:
    """One automaton over one vocabulary. Its `number` is its own: no other has it, nor had it before."""

    def __init__(self, number: int, message: automaton_pb2.Automaton, vocabulary: Vocabulary) -> None:
        self.number = number
        self.message = message
        self.automaton = Automaton.from_message(message)
        self.start = Configuration(self.automaton.start)
        self.num_bytes = self.automaton.transitions.nbytes
        """Memory that its table takes."""
        self._vocabulary = vocabulary
        self._walk = Walk(vocabulary.trie, self.automaton)
        self.needs = Needs(self.automaton, vocabulary)
        self._searched = False

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

    def forced(self, configuration: Configuration) -> bytes:
        """The text that must come next, or `LONGEST_FORCED` bytes of it."""
        text = bytearray()
        following: Configuration | None = configuration
        while following and len(text) < LONGEST_FORCED:
            byte = self._walk.only_byte(following.state)
            if byte is None or self.automaton.ends(following):
                break
            text.append(byte)
            following = self.automaton.step(following, byte)
        return bytes(text)

    def visits(self, configuration: Configuration) -> Visits:
        """What a walk of the vocabulary from a configuration finds: what the masks are read from."""
        return self._walk.visits(configuration)

    def mask(self, configuration: Configuration, visits: Visits) -> Mask:
        """The tokens that are allowed in a configuration, from where `visits` began.

        Raises:
            GenerationError: none are allowed.
        """
        begins, ends = self._walk.ranges(visits)
        may_end = self.automaton.ends(configuration)
        if not len(begins) and not may_end:
            raise GenerationError(self._dead_end(configuration))
        allowed = self._allowed(begins, ends)
        if may_end:
            allowed[list(self._vocabulary.eos_ids)] = True
        return _packed(allowed)

    def most_bytes(self, configuration: Configuration, visits: Visits) -> int:
        """As `Reach.most`, if every byte took a token of its own: never less, but found sooner."""
        return most_bytes(configuration, visits, self.needs, self._vocabulary)

    def look_for_shortcut(self) -> None:
        """Let `needs` know, from now on, of an answer of fewer tokens than the one with the fewest bytes."""
        if not self._searched:
            self._searched = True
            self.needs.learn(*find_shortcut(self.start, self._walk, self.needs, self._vocabulary))

    def reach(self, configuration: Configuration, visits: Visits) -> Reach:
        """How many tokens the answer needs after each one that is allowed."""
        return Reach(configuration, visits, self.needs, self._vocabulary)

    def mask_within(self, configuration: Configuration, reach: Reach, limit: int) -> Mask:
        """The tokens that are allowed and after which the answer needs at most `limit` more.

        There are some if the configuration itself needs at most one more than that.
        """
        allowed = np.zeros_like(self._vocabulary.is_text)
        allowed[reach.within(limit)] = True
        if self.automaton.ends(configuration):
            allowed[list(self._vocabulary.eos_ids)] = True
        return _packed(allowed)

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


def _packed(allowed: NDArray[np.bool_]) -> Mask:
    mask = np.packbits(allowed, bitorder="little").view(np.int32)
    mask.setflags(write=False)
    return mask
