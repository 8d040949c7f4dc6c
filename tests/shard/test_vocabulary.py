"""The vocabulary as grammars see it: text by id, ends apart."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from shard.token_bytes import UnsupportedTokenizerError
from shard.vocabulary import Vocabulary


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """The 256 bytes, then `<|end|>`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={character: i for i, character in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")


def test_ids_past_the_tokenizers_have_no_bytes(tokenizer: PreTrainedTokenizerFast) -> None:
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=300, eos_ids=[256])

    assert vocabulary.size == 300
    assert set(vocabulary.token_bytes[257:]) == {None}
    assert {text for text in vocabulary.token_bytes if text} == {bytes([byte]) for byte in range(256)}
    assert len(vocabulary.trie.token_ids) == 256


def test_logits_may_be_narrower_than_the_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    assert Vocabulary.from_tokenizer(tokenizer, size=100, eos_ids=[3]).size == 100


def test_end_tokens_are_no_text_even_if_the_tokenizer_says_so(tokenizer: PreTrainedTokenizerFast) -> None:
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=257, eos_ids=[0, 256])

    assert vocabulary.token_bytes[0] is None
    assert vocabulary.token_bytes[256] is None


@pytest.mark.parametrize("eos_ids", [[], [3], [-1], [0, 7]])
def test_a_model_without_an_end_token_is_refused(eos_ids: list[int]) -> None:
    with pytest.raises(UnsupportedTokenizerError, match="end with"):
        Vocabulary([b"a", b"b", None], eos_ids=eos_ids)


def test_empty_tokens_are_no_text() -> None:
    assert Vocabulary([b"a", b"", None], eos_ids=[2]).token_bytes == (b"a", None, None)
