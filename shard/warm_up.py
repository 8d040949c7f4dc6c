"""The largest steps there can be, run once before the shard is ready."""

from __future__ import annotations

from array import array

from shard.limits import LimitError
from shard.model import SamplingModel
from shard.sequence import Sampling, Sequence, Slice


def warm_up(model: SamplingModel, *, batch_tokens: int, running: int, blocks: int, block_size: int) -> None:
    """Read a prompt of `batch_tokens` in one step, then a token for each of `running` sequences.

    What is built or allocated when it is first needed is there for the first request, and a machine that is
    too small shows now. Uses blocks 1 to `blocks` of the cache, so before any sequence does.

    Raises:
        LimitError: a step of that size fails.
    """
    prompt = min(batch_tokens, blocks * block_size)
    singles = min(batch_tokens, running, blocks)
    steps = [
        [_slice(prompt, first=1, block_size=block_size)],
        [_slice(1, first=1 + index, block_size=block_size) for index in range(singles)],
    ]
    for slices in steps:
        try:
            model.step(slices, dict)
        except RuntimeError as error:
            tokens = sum(each.count for each in slices)
            raise LimitError(
                f"a step of {tokens} tokens fails ({error}); SHARD_MAX_BATCH_TOKENS and SHARD_MAX_RUNNING "
                "say how large steps are, SHARD_CACHE_TOKENS and SHARD_CACHE_SHARE what memory is left"
            ) from error


def _slice(count: int, *, first: int, block_size: int) -> Slice:
    sequence = Sequence([0] * count, max_new_tokens=1, sampling=Sampling(do_sample=True))
    sequence.blocks = array("i", range(first, first - (-count // block_size)))
    return Slice(sequence, count)
