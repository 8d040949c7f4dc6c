"""The bytes of any text's tokens, put together, are the bytes of the text: on every kind of vocabulary."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from shard.checkpoint import bundled_model
from shard.token_bytes import SAMPLES
from shard.vocabulary import Vocabulary

BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]
TIKTOKEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How cl100k_base parts a text."""


def smollm2() -> PreTrainedTokenizerBase:
    path = bundled_model()
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return tokenizer


def fast(backend: Tokenizer) -> PreTrainedTokenizerFast:
    """With an end token."""
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")


def trained(backend: Tokenizer, trainer: Any) -> PreTrainedTokenizerFast:
    """With added tokens that are text. (SentencePiece's kind puts a space after each of those.)"""
    backend.train_from_iterator(SAMPLES * 3, trainer)
    tokenizer = fast(backend)
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False), AddedToken("\n\n\n", special=False)])
    return tokenizer


def gpt2() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(
        backend,
        trainers.BpeTrainer(
            vocab_size=600, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
        ),
    )


def tiktoken() -> PreTrainedTokenizerFast:
    """Bytes merged by rank, whole words looked up first."""
    backend = Tokenizer(models.BPE(ignore_merges=True))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(TIKTOKEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(
        backend,
        trainers.BpeTrainer(
            vocab_size=700, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
        ),
    )


def llama2() -> PreTrainedTokenizerFast:
    """SentencePiece's BPE with byte fallback, and the space before every text."""
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    learnt = Tokenizer(models.BPE())
    learnt.normalizer = normalizer
    learnt.train_from_iterator(
        SAMPLES * 3, trainers.BpeTrainer(vocab_size=150, limit_alphabet=60, show_progress=False)
    )
    model = json.loads(learnt.to_str())["model"]
    pieces = ["<unk>", "<|end|>", *BYTE_TOKENS, *model["vocab"]]
    backend = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=[(left, right) for left, right in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    backend.normalizer = normalizer
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return fast(backend)


def unigram() -> PreTrainedTokenizerFast:
    """SentencePiece's unigram model with byte fallback."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["<|end|>"], unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(SAMPLES * 3, trainer)
    pieces = [
        (piece, -8.0 + index / 1000) for index, piece in enumerate(backend.get_vocab()) if piece[0] != "<"
    ]
    bytes_ = [(piece, -20.0) for piece in BYTE_TOKENS]
    model = models.Unigram([("<unk>", 0.0), *bytes_, *pieces], unk_id=0, byte_fallback=True)
    whole = Tokenizer(model)
    whole.pre_tokenizer = pre_tokenizers.Metaspace()
    whole.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return fast(whole)


KINDS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "SmolLM2": smollm2,
    "GPT-2": gpt2,
    "tiktoken": tiktoken,
    "Llama 2": llama2,
    "unigram": unigram,
}


@cache
def kind(name: str) -> tuple[PreTrainedTokenizerBase, Vocabulary]:
    tokenizer = KINDS[name]()
    eos_id: Any = tokenizer.convert_tokens_to_ids(tokenizer.eos_token or "<|end|>")
    return tokenizer, Vocabulary.from_tokenizer(tokenizer, size=len(tokenizer) + 100, eos_ids=[eos_id])


SOME = ["<tool_call>", "\n\n\n", "   ", "\t", "\r\n", "👩‍👩‍👧", "e\u0301", "\u200d", "\0", '{"a": ', "'ll"]
texts = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"))
    | st.sampled_from([*SAMPLES, *SOME]),
    max_size=6,
).map("".join)


@pytest.mark.parametrize("name", KINDS)
@given(text=texts)
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(name: str, text: str) -> None:
    tokenizer, vocabulary = kind(name)
    assume(vocabulary.spelled_bytes.issuperset(text.encode()))  # SmolLM2's has not the rarest ones
    token_ids = tokenizer.encode(text, add_special_tokens=False)
    spelled = b"".join(vocabulary.token_bytes[token_id] or b"" for token_id in token_ids)
    assert spelled in {text.encode(), b" " + text.encode()}


@pytest.mark.parametrize("name", KINDS)
def test_every_byte_is_a_token_and_ids_past_the_tokenizers_are_none(name: str) -> None:
    tokenizer, vocabulary = kind(name)
    assert vocabulary.size == len(tokenizer) + 100
    assert set(vocabulary.token_bytes[len(tokenizer) :]) == {None}
    spellable = {
        byte for text in map(chr, (*range(0x20, 0x7F), 0xE9, 0x6F22, 0x1F642)) for byte in text.encode()
    }
    assert spellable <= vocabulary.spelled_bytes
    assert any(text and _is_cut(text) for text in vocabulary.token_bytes)


def _is_cut(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return True
    return False
