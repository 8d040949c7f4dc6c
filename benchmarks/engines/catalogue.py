"""The engines by name."""

from __future__ import annotations

from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

from transformers import PreTrainedTokenizerBase

from benchmarks.engines.engine import Engine


class EngineName(StrEnum):
    """An engine, by the name of the distribution that brings it."""

    GUIDERAIL = "guiderail"
    LLGUIDANCE = "llguidance"
    XGRAMMAR = "xgrammar"
    OUTLINES_CORE = "outlines-core"

    @property
    def version(self) -> str | None:
        """What is installed, or None if it is not. Guiderail, which is in use here, always is."""
        try:
            return version(self)
        except PackageNotFoundError:
            return "as it stands here" if self is EngineName.GUIDERAIL else None

    def prepare(self, tokenizer: PreTrainedTokenizerBase) -> Engine:
        """The engine, ready to compile for the tokenizer's vocabulary. Only now is its package imported."""
        match self:
            case EngineName.GUIDERAIL:
                from benchmarks.engines.guiderail import Guiderail

                return Guiderail(tokenizer)
            case EngineName.LLGUIDANCE:
                from benchmarks.engines.llguidance import LLGuidance

                return LLGuidance(tokenizer)
            case EngineName.XGRAMMAR:
                from benchmarks.engines.xgrammar import XGrammar

                return XGrammar(tokenizer)
            case EngineName.OUTLINES_CORE:
                from benchmarks.engines.outlines import OutlinesCore

                return OutlinesCore(tokenizer)
