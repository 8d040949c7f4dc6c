"""The exact bytes of every token, as the tokenizer's own decoder gives them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from transformers import PreTrainedTokenizerBase

from shard.markers import MARKERS

Spelling = Callable[[str], str | bytes]
"""One step of a decoder, for one token: its text, or its bytes where those are known."""

SAMPLES = (
    "Hello world! The quick brown fox, 1234567890.",
    " one leading space,  two   three\ttab",
    "line\nline\r\n\n    indented {\"key\": [1, -2.5e3], 'a': null}",
    "naïve café — “quoted” …",
    "e\u0301 combining, ﬁ ligature, \u00a0 no-break space, \u200b zero width",
    "漢字かな交じり文。한국어 עברית العربية हिन्दी",
    "🙂 👩‍👩‍👧 🇫🇷 \U00010348",
)
"""Texts that must come out of the tokens' bytes as they went in."""


class UnsupportedTokenizerError(ValueError):
    """The exact bytes of this tokenizer's tokens cannot be determined; the message says why."""


def read_token_bytes(tokenizer: PreTrainedTokenizerBase) -> dict[int, bytes]:
    """The bytes that each token, by id, adds to a text.

    Special tokens are no text and are left out, but for markers. SentencePiece's prefix space, which its
    decoder drops at the beginning of a text, counts: an answer begins no text, it continues the prompt.

    Raises:
        UnsupportedTokenizerError: names the tokenizer and the reason.
    """
    name = type(tokenizer).__name__
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UnsupportedTokenizerError(f"{name}: it is not a fast tokenizer, so its decoder cannot be read")
    described = json.loads(backend.to_str())
    name = f"{name} ({described['model']['type']})"
    spellings = _spellings(described, name)
    special = set(tokenizer.all_special_ids)
    special.update(token["id"] for token in described["added_tokens"] if token["special"])
    model = described["model"]
    special.add(model.get("unk_id"))
    texts = backend.get_vocab(with_added_tokens=True)
    special -= {texts[marker] for marker in MARKERS & texts.keys()}
    spelled = {
        token_id: _spell(text, spellings)
        for text, token_id in texts.items()
        if token_id not in special and text != model.get("unk_token")
    }
    _check(tokenizer, spelled, name)
    return spelled


def _spell(text: str, spellings: list[Spelling]) -> bytes:
    for spelling in spellings:
        spelled = spelling(text)
        if isinstance(spelled, bytes):
            return spelled
        text = spelled
    return text.encode()


def _spellings(described: dict[str, Any], name: str) -> list[Spelling]:
    """What the decoder does to each token."""
    decoder = described["decoder"]
    if decoder is None:
        before = [*_steps(described["pre_tokenizer"]), *_steps(described["normalizer"])]
        if not any(step["type"] == "ByteLevel" for step in before):
            raise UnsupportedTokenizerError(f"{name}: it has no decoder")
        return [_byte_level]
    spellings: list[Spelling] = []
    fused = False
    for step in _steps(decoder):
        fused = fused or step["type"] == "Fuse"
        spelling = _spelling(step, fused=fused)
        if spelling is None:
            raise UnsupportedTokenizerError(f"{name}: its decoder step {json.dumps(step)} is not known")
        spellings.append(spelling)
    return spellings


def _steps(step: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The steps of a part of the tokenizer, sequences flattened."""
    if step is None:
        return
    inner = next((step[key] for key in ("decoders", "pretokenizers", "normalizers") if key in step), None)
    if inner is None:
        yield step
    else:
        for each in inner:
            yield from _steps(each)


def _spelling(step: dict[str, Any], *, fused: bool) -> Spelling | None:
    """One step, or None if it is unknown or looks at more than one token."""
    match step:
        case {"type": "ByteLevel"}:
            return _byte_level
        case {"type": "ByteFallback"}:
            return _byte_fallback
        case {"type": "Replace", "pattern": {"String": pattern}, "content": content}:
            return partial(_replace, pattern, content)
        case {"type": "Metaspace", "replacement": replacement}:
            return partial(_replace, replacement, " ")
        case {"type": "Fuse"}:
            return str
        case {"type": "Strip", "stop": 0} if fused:
            return str  # only takes away the text's first characters
        case _:
            return None


def _replace(pattern: str, content: str, text: str) -> str:
    return text.replace(pattern, content)


def _byte_fallback(text: str) -> str | bytes:
    """`<0x0A>` is a byte."""
    return bytes.fromhex(text[3:5]) if re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", text) else text


def _byte_level(text: str) -> bytes:
    """GPT-2's alphabet; a token with any other character stands for its own text."""
    spelled = [_ALPHABET.get(character) for character in text]
    return text.encode() if None in spelled else bytes(byte for byte in spelled if byte is not None)


def _alphabet() -> dict[str, int]:
    """The character that stands for each byte: its own if visible in Latin-1, else the next from U+0100."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (byte for byte in range(256) if byte not in visible)
    return {chr(byte): byte for byte in visible} | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


_ALPHABET = _alphabet()


def _check(tokenizer: PreTrainedTokenizerBase, spelled: dict[int, bytes], name: str) -> None:
    """The samples' tokens must spell the samples: as they are or normalised, a prefix space allowed."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    for sample in SAMPLES:
        ids = tokenizer.encode(sample, add_special_tokens=False)
        found = b"".join(spelled.get(token_id, b"") for token_id in ids)
        normalized = normalizer.normalize_str(sample).replace("▁", " ") if normalizer else sample
        expected = {text.encode() for text in (sample, normalized)}
        if found not in expected | {b" " + text for text in expected}:
            raise UnsupportedTokenizerError(
                f"{name}: its tokens spell {sample!r} as {found.decode(errors='replace')!r}"
            )
