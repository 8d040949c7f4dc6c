"""What the tokenizer tells of its model's conversations."""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from shard import tokenizer


def wrapped(**named: Any) -> tokenizer.Tokenizer:
    """A tokenizer with a token for each byte, for the end and for the markers of reasoning and calls."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<end>", special=True), AddedToken("[TOOL_CALLS]", special=True)])
    backend.add_tokens(["<think>"])
    return tokenizer.Tokenizer(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", **named))


def test_a_template_is_told_by_its_name_and_without_one_is_the_default() -> None:
    assert wrapped().chat_templates == {}
    assert wrapped(chat_template="{{ 1 }}").chat_templates == {"default": "{{ 1 }}"}
    several = {"default": "{{ 1 }}", "tool_use": "{{ 2 }}"}
    assert wrapped(chat_template=several).chat_templates == several


def test_the_special_tokens_are_told_by_the_names_that_templates_use() -> None:
    named = wrapped(bos_token="<s>", additional_special_tokens=["<x>"])
    assert named.template_tokens == {"bos_token": "<s>", "eos_token": "<end>"}


def test_markers_are_never_special() -> None:
    assert list(wrapped().special_tokens.values()) == ["<end>"]
