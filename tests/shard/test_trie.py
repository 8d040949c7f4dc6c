"""The layout of the trie, against the tokens it was made of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shard.trie import NEVER, WORDS, Trie
from shard.utf8 import MALFORMED, UTF8, WHOLE

TOKENS = [b"b", None, b"a", b"ab", b"a", b"", b"\xe4\xb8", "中文".encode(), b"\xb8a", b'a"', b"\xffx"]

vocabularies = st.lists(
    st.none()
    | st.lists(
        st.sampled_from([b"a", b"b", b'"', "é".encode(), "中".encode(), b"\xe4", b"\x80"]), max_size=5
    ).map(b"".join),
    max_size=40,
)


def strings(trie: Trie) -> list[bytes]:
    """The byte string of every node, read from the root down."""
    found = [b""] + [b"?"] * (len(trie.byte) - 1)
    for node in range(len(trie.byte)):
        first = int(trie.first_child[node])
        for child in range(first, first + int(trie.num_children[node])):
            found[child] = found[node] + bytes([int(trie.byte[child])])
    return found


def left_after(text: bytes) -> int:
    left = WHOLE
    for byte in text:
        left = int(UTF8[left, byte])
    return left


def beginnings(text: bytes, *, start: int) -> list[int]:
    """The bytes from `start` on that begin characters; the first malformed one counts as `NEVER` and ends."""
    found: list[int] = []
    for i in range(start, len(text)):
        if left_after(text[: i + 1]) == MALFORMED:
            return [*found, NEVER]
        if left_after(text[:i]) == WHOLE:
            found.append(text[i])
    return found


@settings(deadline=None)
@given(vocabularies)
def test_nodes_are_exactly_the_beginnings_of_tokens(tokens: list[bytes | None]) -> None:
    nodes = strings(Trie.from_tokens(tokens))

    assert len(nodes) == len(set(nodes))
    assert set(nodes) == {b""} | {text[:i] for text in tokens if text for i in range(len(text) + 1)}


@settings(deadline=None)
@given(vocabularies)
def test_ranges_of_ranks_hold_the_own_tokens_and_all_below(tokens: list[bytes | None]) -> None:
    trie = Trie.from_tokens(tokens)

    for node, text in enumerate(strings(trie)):
        begin, own_end, end = int(trie.begin[node]), int(trie.own_end[node]), int(trie.end[node])
        assert set(trie.token_ids[begin:own_end]) == {
            i for i, token in enumerate(tokens) if token and token == text
        }
        assert set(trie.token_ids[begin:end]) == {
            i for i, token in enumerate(tokens) if token and token.startswith(text)
        }


@settings(deadline=None)
@given(vocabularies)
def test_every_node_knows_the_characters_of_its_tokens(tokens: list[bytes | None]) -> None:
    trie = Trie.from_tokens(tokens)

    for node, text in enumerate(strings(trie)):
        assert trie.characters[node] == (len(text.decode()) if left_after(text) == WHOLE else -1)
        if text and left_after(text[:-1]) == WHOLE:
            onward = [
                beginnings(token, start=len(text) - 1) for token in tokens if token and token.startswith(text)
            ]
            words = sum(int(trie.onward[node, word]) << 64 * word for word in range(WORDS))
            assert {byte for byte in range(256) if words >> byte & 1} == {b for each in onward for b in each}
            if NEVER not in {b for each in onward for b in each}:
                assert trie.height[node] == max(len(each) for each in onward)


def test_size_counts_the_nodes_below() -> None:
    trie = Trie.from_tokens(TOKENS)
    nodes = strings(trie)

    assert [int(size) for size in trie.size] == [
        sum(other != text and other.startswith(text) for other in nodes) for text in nodes
    ]


def test_several_ids_may_share_the_same_bytes() -> None:
    trie = Trie.from_tokens(TOKENS)
    node = strings(trie).index(b"a")

    assert set(trie.token_ids[trie.begin[node] : trie.own_end[node]]) == {2, 4}


def test_the_commonest_byte_is_counted_over_nodes() -> None:
    assert Trie.from_tokens([b"xa", b"ya", b"za", b"b", b"\xc3\xa9"]).commonest_byte == ord("a")


def test_a_vocabulary_without_any_text_is_a_bare_root() -> None:
    trie = Trie.from_tokens([None, b""])

    assert len(trie.byte) == 1
    assert len(trie.token_ids) == 0
