"""The tokens of a vocabulary as a trie over their bytes, laid out in flat arrays."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shard.utf8 import MALFORMED, MISSING, UTF8, WHOLE

Index = NDArray[np.intp]

WORDS = 4
"""64-bit words in a set of bytes: bit b % 64 of word b // 64 stands for byte b."""
NEVER = 0xFF
"""In a set of bytes that begin characters: something is not UTF-8. No character has this byte."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Trie:
    """Every node is a byte string that begins some token; the tokens that equal it are its own.

    Nodes are numbered breadth first and siblings by byte: node 0 is the root (the empty string), the children
    of a node are neighbours. Tokens are ranked by their bytes: a node's own tokens are a range of ranks, all
    tokens that begin with its bytes another, and both begin at the same rank.
    """

    byte: Index
    """(nodes,): the last byte of the node's string; 0 for the root."""
    first_child: Index
    """(nodes,): the first child; meaningless where there is none."""
    num_children: Index
    """(nodes,)"""
    begin: Index
    """(nodes,): rank of the first token that begins with the node's string."""
    own_end: Index
    """(nodes,): rank after the last token that equals the node's string."""
    end: Index
    """(nodes,): rank after the last token that begins with the node's string."""
    characters: Index
    """(nodes,): characters in the node's string; -1 if it is not whole characters of UTF-8."""
    begun: Index
    """(nodes,): the same with one that is cut off at the end; meaningless if the string is malformed."""
    missing: Index
    """(nodes,): bytes that a character lacks which is cut off at the end; meaningless likewise."""
    height: Index
    """(nodes,): the most characters that a token has from the node on: counted are those that begin with the
    node's own byte or below it, characters that the token's end cuts off included."""
    onward: NDArray[np.uint64]
    """(nodes, WORDS): set of the bytes that begin those characters, and `NEVER` if any are malformed.
    This and `height` mean something only where the node's byte begins a character."""
    token_ids: Index
    """(tokens,): the id of the token of each rank. Several ids may share the same bytes."""
    node_of: Index
    """(tokens,): the node that the token of each rank equals."""
    size: Index
    """(nodes,): nodes below."""
    commonest_byte: int
    """The ASCII byte that occurs in most nodes."""

    @classmethod
    def from_tokens(cls, token_bytes: Sequence[bytes | None]) -> Trie:
        """Lay out the tokens, given by id; None and empty ones are left out."""
        texts = {i: text for i, text in enumerate(token_bytes) if text}
        ids = sorted(texts, key=texts.__getitem__)
        levels = _levels([texts[i] for i in ids])
        byte, parent, begin, own_end, end = (np.concatenate(column) for column in zip(*levels, strict=True))
        sizes = [len(level.byte) for level in levels]
        left, begun = _characters(byte, parent, sizes)
        height, onward, size = _summaries(byte, parent, sizes, left)
        num_children = np.bincount(parent[1:], minlength=len(parent))
        node_of = np.empty(len(ids), dtype=np.intp)
        node_of[expanded(begin, own_end)] = np.arange(len(byte)).repeat(own_end - begin)
        return cls(
            byte=byte,
            first_child=1 + np.cumsum(num_children) - num_children,
            num_children=num_children,
            begin=begin,
            own_end=own_end,
            end=end,
            characters=np.where(left == WHOLE, begun, -1),
            begun=begun,
            missing=MISSING[left],
            height=height,
            onward=onward,
            size=size,
            token_ids=np.array(ids, dtype=np.intp),
            node_of=node_of,
            commonest_byte=int(np.bincount(byte[1:], minlength=128)[:128].argmax()),
        )

    def tokens(self, begins: Index, ends: Index) -> Index:
        """Ids of the tokens in ranges of ranks."""
        ids: Index = self.token_ids.take(expanded(begins, ends))
        return ids

    def child(self, node: int, byte: int) -> int:
        """The node whose string is that of `node` and one byte more; 0 if there is none."""
        first = int(self.first_child[node])
        after = first + int(self.num_children[node])
        child = bisect_left(self.byte.data, byte, first, after)
        return child if child < after and self.byte[child] == byte else 0

    def spells(self, node: int) -> bool:
        """Whether a token equals the node's string."""
        return bool(self.begin[node] < self.own_end[node])


def expanded(begins: Index, ends: Index) -> Index:
    """All numbers of the ranges, one range after the other."""
    lengths = ends - begins
    stops = lengths.cumsum()
    numbers: Index = (begins - stops + lengths).repeat(lengths) + np.arange(lengths.sum())
    return numbers


class _Level(NamedTuple):
    """The nodes of one depth."""

    byte: Index
    parent: Index
    begin: Index
    own_end: Index
    end: Index


def _levels(texts: list[bytes]) -> list[_Level]:
    """The trie of texts in ascending order, from the root down."""
    lengths = np.array([len(text) for text in texts], dtype=np.intp)
    flat = np.frombuffer(b"".join(texts), dtype=np.uint8).astype(np.intp)
    offsets = np.cumsum(lengths) - lengths
    node_of = np.zeros(len(texts), dtype=np.intp)
    ranks = np.arange(len(texts))
    zero = np.zeros(1, dtype=np.intp)
    levels = [_Level(zero, zero, zero, zero, zero + len(texts))]
    num_nodes = 1
    for depth in range(int(lengths.max(initial=0))):
        ranks = ranks[lengths[ranks] > depth]
        byte, parent = flat[offsets[ranks] + depth], node_of[ranks]
        is_first = np.ones(len(ranks), dtype=np.bool_)
        is_first[1:] = (byte[1:] != byte[:-1]) | (parent[1:] != parent[:-1])
        first = np.flatnonzero(is_first)
        last = np.append(first[1:], len(ranks)) - 1
        node = np.cumsum(is_first) - 1
        own = np.bincount(node[lengths[ranks] == depth + 1], minlength=len(first))
        levels.append(_Level(byte[first], parent[first], ranks[first], ranks[first] + own, ranks[last] + 1))
        node_of[ranks] = num_nodes + node
        num_nodes += len(first)
    return levels


def _characters(byte: Index, parent: Index, sizes: list[int]) -> tuple[Index, Index]:
    """What is left of a character after each node (a state of `UTF8`), and those begun in its string."""
    left = np.zeros(len(byte), dtype=np.intp)
    begun = np.zeros(len(byte), dtype=np.intp)
    start = 1
    for size in sizes[1:]:
        level = slice(start, start + size)
        left[level] = UTF8[left[parent[level]], byte[level]]
        begun[level] = begun[parent[level]] + (left[parent[level]] == WHOLE)
        start += size
    return left, begun


def _summaries(
    byte: Index, parent: Index, sizes: list[int], left: Index
) -> tuple[Index, NDArray[np.uint64], Index]:
    """`Trie.height`, `Trie.onward` and `Trie.size`, gathered from the leaves upwards."""
    begins = left[parent] == WHOLE
    mark = np.where(left == MALFORMED, NEVER, byte)
    marked = begins | (left == MALFORMED)
    onward = np.zeros((len(byte), WORDS), dtype=np.uint64)
    onward[marked, mark[marked] // 64] = np.uint64(1) << (mark[marked] % 64).astype(np.uint64)
    height = begins.astype(np.intp)
    size = np.zeros(len(byte), dtype=np.intp)
    stop = len(byte)
    for width in reversed(sizes[1:]):
        level = slice(stop - width, stop)
        parents, first = np.unique(parent[level], return_index=True)
        height[parents] += np.maximum.reduceat(height[level], first)
        onward[parents] |= np.bitwise_or.reduceat(onward[level], first, axis=0)
        size[parents] = np.add.reduceat(size[level] + 1, first)
        stop -= width
    return height, onward, size
