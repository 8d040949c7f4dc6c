"""The bytes of tokens, from every kind of decoder; what is not understood is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from shard.token_bytes import SAMPLES, UnsupportedTokenizerError, read_token_bytes

BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]


def fast(backend: Tokenizer, **named: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=backend, **named)


def byte_level(*, ignore_merges: bool = False, add_prefix_space: bool = False) -> Tokenizer:
    """GPT-2's kind, trained on the samples."""
    backend = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|end|>"],
        show_progress=False,
    )
    backend.train_from_iterator(SAMPLES, trainer)
    return backend


def sentencepiece(*, prefix: bool = True) -> Tokenizer:
    """Llama 2's kind: `▁` is a space, characters without a token fall back to bytes."""
    pieces = ["<unk>", "<s>", "</s>", *BYTE_TOKENS, "▁", "H", "e", "l", "o", "He", "▁He", "ll", "漢", "▁▁"]
    merges = [("H", "e"), ("▁", "He"), ("l", "l"), ("▁", "▁")]
    backend = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    replace = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prefix else replace
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    backend.add_special_tokens(["<s>", "</s>"])
    return backend


def number(backend: Tokenizer, token: str) -> int:
    return backend.get_vocab()[token]


def test_byte_level_tokens_are_spelled_in_gpt2s_alphabet() -> None:
    backend = byte_level()
    spelled = read_token_bytes(fast(backend))

    assert spelled[number(backend, "Ġ")] == b" "
    assert spelled[number(backend, "Ċ")] == b"\n"
    assert spelled[number(backend, "Ã")] == b"\xc3"
    assert {bytes([byte]) for byte in range(256)} <= set(spelled.values())
    assert any(text.startswith(b" ") and len(text) > 2 for text in spelled.values())


def test_tokens_that_are_cut_characters_keep_their_bytes() -> None:
    spelled = read_token_bytes(fast(byte_level()))

    with pytest.raises(UnicodeDecodeError):
        next(text for text in spelled.values() if text == b"\xe6").decode()


def test_a_byte_level_tokenizer_that_lost_its_decoder_is_known_by_its_pre_tokenizer() -> None:
    backend = byte_level()
    whole = read_token_bytes(fast(backend))
    lost = Tokenizer.from_str(json.dumps(json.loads(backend.to_str()) | {"decoder": None}))

    assert read_token_bytes(fast(lost)) == whole


def test_tiktokens_kind_with_ignored_merges_is_byte_level() -> None:
    spelled = read_token_bytes(fast(byte_level(ignore_merges=True)))

    assert {bytes([byte]) for byte in range(256)} <= set(spelled.values())


def test_a_prefix_space_before_the_text_is_no_mismatch() -> None:
    assert read_token_bytes(fast(byte_level(add_prefix_space=True)))


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_spells_spaces_and_falls_back_to_bytes(prefix: bool) -> None:
    backend = sentencepiece(prefix=prefix)
    spelled = read_token_bytes(fast(backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>"))

    assert spelled[number(backend, "▁He")] == b" He"
    assert spelled[number(backend, "▁▁")] == b"  "
    assert spelled[number(backend, "<0x0A>")] == b"\n"
    assert spelled[number(backend, "<0xE6>")] == b"\xe6"
    assert spelled[number(backend, "漢")] == "漢".encode()


def test_unigram_with_metaspace_is_spelled_too() -> None:
    scored: list[tuple[str, float]] = [
        ("<unk>", 0.0),
        *((piece, -9.0) for piece in BYTE_TOKENS),
        ("▁", -2.0),
        ("▁one", -1.0),
    ]
    backend = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])

    spelled = read_token_bytes(fast(backend))

    assert spelled[number(backend, "▁one")] == b" one"
    assert backend.token_to_id("<unk>") not in spelled


def test_a_normalizer_may_change_the_text_before_it_is_split() -> None:
    backend = byte_level()
    backend.normalizer = normalizers.NFC()

    assert read_token_bytes(fast(backend))


def test_special_tokens_have_no_bytes() -> None:
    backend = byte_level()
    tokenizer = fast(backend, eos_token="<|end|>")
    backend.add_special_tokens(["<|tool|>"])

    spelled = read_token_bytes(tokenizer)

    assert backend.token_to_id("<|end|>") not in spelled
    assert tokenizer.convert_tokens_to_ids("<|tool|>") not in spelled


def test_the_markers_of_tool_calls_are_text_even_where_they_are_special() -> None:
    backend = byte_level()
    backend.add_special_tokens(["[TOOL_CALLS]", "[INST]"])
    spelled = read_token_bytes(fast(backend))

    assert spelled[number(backend, "[TOOL_CALLS]")] == b"[TOOL_CALLS]"
    assert number(backend, "[INST]") not in spelled


def test_added_tokens_that_are_text_have_their_texts_bytes() -> None:
    tokenizer = fast(byte_level())
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False), AddedToken("\n\n", special=False)])

    spelled = read_token_bytes(tokenizer)

    assert spelled[number(tokenizer.backend_tokenizer, "<tool_call>")] == b"<tool_call>"
    assert spelled[number(tokenizer.backend_tokenizer, "\n\n")] == b"\n\n"


def test_wordpiece_is_refused_by_name() -> None:
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()

    with pytest.raises(UnsupportedTokenizerError, match=r"\(WordPiece\): its decoder step .* is not known"):
        read_token_bytes(fast(backend))


def test_a_tokenizer_without_any_decoder_is_refused() -> None:
    backend = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()

    with pytest.raises(UnsupportedTokenizerError, match="no decoder"):
        read_token_bytes(fast(backend))


def test_a_strip_that_touches_every_token_is_refused() -> None:
    backend = sentencepiece()
    backend.decoder = decoders.Sequence([decoders.Strip(" ", 1, 0), decoders.Fuse()])

    with pytest.raises(UnsupportedTokenizerError, match="Strip"):
        read_token_bytes(fast(backend))


def test_tokens_that_do_not_spell_their_text_are_refused() -> None:
    """Here: a decoder that says bytes where the tokens are characters."""
    backend = Tokenizer(models.BPE(vocab={"é": 0, "a": 1}, merges=[]))
    backend.decoder = decoders.Fuse()

    with pytest.raises(UnsupportedTokenizerError, match="its tokens spell 'Hello world!"):
        read_token_bytes(fast(backend))
