"""Which sequence owns which block of the key-value cache, and which blocks can be shared."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from shard.sequence import Sequence


class Blocks:
    """Block numbers with reference counts, found again by the tokens that they hold (prefix caching).

    Every block but 0 either has references or is free; a free one keeps its content until it is handed out
    anew, the least recently used first. Block 0 is never handed out: padding may point at it.
    """

    def __init__(self, *, count: int, size: int, shared: bool = True) -> None:
        """`count` blocks, block 0 included, of `size` tokens each; unless `shared`, none is found again."""
        self.size = size
        self._shared = shared
        self.capacity = count - 1
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(1, count))
        self._references = [0] * count
        self._digest_of: dict[int, bytes] = {}
        self._content_of: dict[int, bytes] = {}
        self._by_digest: dict[bytes, int] = {}

    @property
    def available(self) -> int:
        """Blocks that can be handed out."""
        return len(self._free)

    def fits(self, tokens: int) -> bool:
        """Whether a sequence of that many tokens could be held at all."""
        return self._needed(tokens) <= self.capacity

    def enter(self, sequence: Sequence) -> bool:
        """Give a sequence without blocks room for all its tokens, sharing what others computed before it.

        Sets `computed` to the tokens found; at least one is left to compute, since its logits are wanted. If
        those of the whole prompt are wanted, nothing is shared. Returns False, with nothing taken, if there
        is no room.
        """
        sharable = (len(sequence.tokens) - 1) // self.size
        for index in range(0 if sequence.scores_prompt or not self._shared else sharable):
            block = self._find(sequence, index)
            if block is None:
                break
            self._references[block] += 1
            self._free.pop(block, None)
            sequence.blocks.append(block)
        sequence.committed = len(sequence.blocks)
        sequence.computed = sequence.committed * self.size
        if self.extend(sequence):
            return True
        self.release(sequence)
        return False

    def extend(self, sequence: Sequence, *, drafts: int = 0) -> bool:
        """Make room for all tokens of the sequence and so many drafts; False, with nothing taken, if not."""
        missing = self._needed(len(sequence.tokens) + drafts) - len(sequence.blocks)
        if missing > len(self._free):
            return False
        for _ in range(missing):
            sequence.blocks.append(self._take())
        return True

    def commit(self, sequence: Sequence) -> None:
        """Let later sequences find the blocks that are full and computed."""
        full = sequence.computed // self.size if self._shared else 0
        for index in range(sequence.committed, full):
            digest, block = self._digest(sequence, index), sequence.blocks[index]
            if (
                digest not in self._by_digest
            ):  # else the same tokens were computed twice: the first copy stays
                self._by_digest[digest] = block
                self._digest_of[block] = digest
                self._content_of[block] = self._content(sequence, index)
        sequence.committed = full

    def release(self, sequence: Sequence) -> None:
        """Take back the sequence's blocks. Its tails are reused before its heads, which more others share."""
        for block in reversed(sequence.blocks):
            self._references[block] -= 1
            if not self._references[block]:
                self._free[block] = None
                if block not in self._digest_of:  # nobody can find its content: use it first
                    self._free.move_to_end(block, last=False)
        del sequence.blocks[:]
        sequence.computed = sequence.committed = 0

    def _needed(self, tokens: int) -> int:
        return -(-tokens // self.size)

    def _take(self) -> int:
        block, _ = self._free.popitem(last=False)
        digest = self._digest_of.pop(block, None)
        if digest is not None:
            del self._by_digest[digest], self._content_of[block]
        self._references[block] = 1
        return block

    def _find(self, sequence: Sequence, index: int) -> int | None:
        block = self._by_digest.get(self._digest(sequence, index))
        if block is None or self._content_of[block] != self._content(sequence, index):
            return None
        return block

    def _content(self, sequence: Sequence, index: int) -> bytes:
        return sequence.tokens[index * self.size : (index + 1) * self.size].tobytes()

    def _digest(self, sequence: Sequence, index: int) -> bytes:
        """Digest of all tokens up to the end of block `index`; its predecessors' must be known already."""
        if index == len(sequence.digests):
            parent = sequence.digests[-1] if sequence.digests else _root(sequence.adapter)
            sequence.digests.append(blake2b(parent + self._content(sequence, index), digest_size=16).digest())
        return sequence.digests[index]


def _root(adapter: str | None) -> bytes:
    """What the first digest follows from: the same tokens have other keys and values with another adapter."""
    return b"" if adapter is None else blake2b(adapter.encode(), digest_size=16).digest()
