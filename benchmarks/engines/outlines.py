"""outlines-core: a regex written for the schema, and an index of all its states over all tokens."""

from __future__ import annotations

import numpy as np
from outlines_core import Guide, Index
from outlines_core import Vocabulary as OutlinesVocabulary
from outlines_core.json_schema import build_regex_from_schema
from transformers import PreTrainedTokenizerBase

from benchmarks.engines.engine import Mask, RefusedError
from shard.vocabulary import Vocabulary


class OutlinesCore:
    """Its regex is closed with `$`: without, the shorter of two alternatives hides the longer one."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        eos_id = tokenizer.eos_token_id
        vocabulary = Vocabulary.from_tokenizer(tokenizer, size=len(tokenizer), eos_ids={eos_id})
        token_ids: dict[bytes | str, list[int]] = {}
        for token_id, text in enumerate(vocabulary.token_bytes):
            if text is not None:
                token_ids.setdefault(text, []).append(token_id)
        self._vocabulary = OutlinesVocabulary(eos_id, token_ids)
        self._buffer: Mask = np.zeros(-(-vocabulary.size // 32), np.int32)

    def compile(self, schema: str) -> CompiledByOutlines:
        try:
            index = Index(f"(?:{build_regex_from_schema(schema)})$", self._vocabulary)
        except (ValueError, TypeError) as error:
            raise RefusedError(str(error)) from error
        return CompiledByOutlines(index, self._buffer)


class CompiledByOutlines:
    """An index; its guides are cheap."""

    def __init__(self, index: Index, buffer: Mask) -> None:
        self._index = index
        self._buffer = buffer

    def matcher(self) -> OutlinesMatcher:
        return OutlinesMatcher(Guide(self._index), self._buffer)


class OutlinesMatcher:
    """One answer. The mask is the buffer that outlines-core fills."""

    def __init__(self, guide: Guide, buffer: Mask) -> None:
        self._guide = guide
        self._row = buffer
        self._address = buffer.ctypes.data

    def mask(self) -> Mask:
        self._guide.write_mask_into(self._address, self._row.size, self._row.itemsize)
        return self._row

    def advance(self, token_id: int) -> None:
        self._guide.advance(token_id, return_tokens=False)
