"""Converts a GGUF file, once, to a folder of safetensors that loads in a second."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from tokenizers import Tokenizer, decoders, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

logger = logging.getLogger(__name__)

VERSION = 1
"""Of the conversion; part of the key under which its results are kept."""

_SAMPLE_BYTES = 1 << 24


def converted(path: Path, *, cache_dir: Path) -> Path:
    """The folder with the float32 model and tokenizer of the GGUF file at `path`.

    It is complete or it is not there: it is written aside, then renamed. Of several processes that ask at
    once, one converts and the others wait.
    """
    folder = cache_dir / f"{path.stem}-{_identity(path)}"
    if folder.is_dir():
        return folder
    cache_dir.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            logger.info("converting %s, once; this takes some 20 seconds for a small model", path.name)
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=cache_dir))
            try:
                _convert(path, aside)
                aside.rename(folder)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            logger.info("converted to %s", folder)
    return folder


def _identity(path: Path) -> str:
    """A digest of the conversion's version and of the file's size, beginning and end."""
    size = path.stat().st_size
    digest = blake2b(f"{VERSION} {size}".encode(), digest_size=8)
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE_BYTES))
        file.seek(max(0, size - _SAMPLE_BYTES))
        digest.update(file.read())
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, however the process ends
        yield


def _convert(path: Path, folder: Path) -> None:
    reader = GGUFReader(path)
    eos_id = _value(reader, "tokenizer.ggml.eos_token_id")
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    _restore(tokenizer.backend_tokenizer, pre=_value(reader, "tokenizer.ggml.pre"))
    if eos_id is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(eos_id)
    tokenizer.save_pretrained(folder)
    logger.info("converted the tokenizer of %s", path.name)
    network: Any = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    if eos_id is not None:
        network.config.eos_token_id = network.generation_config.eos_token_id = eos_id
    _forget_quantisation(network)
    network.save_pretrained(folder)
    os.chmod(folder, 0o755)  # mkdtemp's is for its owner alone


def _value(reader: GGUFReader, key: str) -> Any:
    field = reader.get_field(key)
    return field.contents() if field else None


def _restore(backend: Tokenizer, *, pre: str | None) -> None:
    """Bring back what transformers' conversion loses: it reads a byte-level vocabulary, but not `pre`."""
    if pre == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
        backend.decoder = decoders.ByteLevel()
    else:
        logger.warning("the tokenizer is as transformers converts it; its rule %r is not checked", pre)


def _forget_quantisation(network: Any) -> None:
    """The weights are plain numbers by now, but the model believes itself packed and refuses to be saved."""
    network.hf_quantizer = None
    network.is_quantized = False
    network._weight_conversions = None
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
