"""`python -m benchmarks.engine.equality`: greedy answers beside those of `generate`, all tokens, in float32.

Each prompt is answered alone, then all in mixed batches with so little cache that answers are preempted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import track

from shard import sequence
from shard.blocks import Blocks
from shard.checkpoint import locate
from shard.forward import Forward
from shard.model import SamplingModel
from shard.runner import choose_runner
from shard.scheduler import Scheduler
from shard.settings import Settings

BLOCK_SIZE = 16
RUNNING = 8
SUBJECTS = (
    *("the sea", "a train", "winter", "bread", "an old clock"),
    *("two brothers", "a garden", "the moon", "a letter", "the market"),
)
FORMS = (
    "What is known about {}?",
    "Write a poem about {}, its beginning first, with no rhymes in it.",
    "{}:",
    "A child asks what it is about {} that grown-ups like so much, and a teacher answers:",
    "def describe():\n    # {}\n    return",
)
PROMPTS = [form.format(subject) for subject in SUBJECTS for form in FORMS]


def generated(network: Any, prompt: Sequence[int], tokens: int) -> list[int]:
    """The answer of `generate`, with the end of text as a token like any other."""
    input_ids = torch.tensor([prompt])
    answer = network.generate(
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        do_sample=False,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
    )
    found: list[int] = answer[0, len(prompt) :].tolist()
    return found


class Together:
    """Answers prompts in one scheduler, whose cache has `blocks` blocks."""

    def __init__(self, model: SamplingModel, *, blocks: int) -> None:
        self._model = model
        self._blocks = blocks
        self.preemptions = 0

    def answers(
        self, prompts: Sequence[list[int]], *, tokens: int, end_ids: frozenset[int]
    ) -> list[list[int]]:
        """The tokens of each answer, in the order of the prompts."""
        scheduler = Scheduler(
            Blocks(count=self._blocks + 1, size=BLOCK_SIZE),
            max_running=RUNNING,
            max_waiting=len(prompts),
            token_budget=64,
        )
        sampling = sequence.Sampling(min_new_tokens=tokens, end_ids=tuple(end_ids))
        sequences = [
            sequence.Sequence(prompt, max_new_tokens=tokens, sampling=sampling) for prompt in prompts
        ]
        for each in sequences:
            scheduler.add(each)
        while slices := scheduler.plan():
            # who has an answer begun and nothing computed has lost it
            self.preemptions += sum(
                each.sequence.generated > 0 and not each.sequence.computed for each in slices
            )
            sampled = self._model.step(slices, dict)
            scheduler.settle(slices)
            for each, (chosen,) in sampled.items():
                each.append(chosen.token_id)
                if each.generated == tokens:
                    scheduler.remove(each)
        return [each.tokens[each.input_length :].tolist() for each in sequences]


def main(
    tokens: Annotated[int, typer.Option(min=2, help="Of each answer.")] = 32,
    forward: Annotated[str, typer.Option(help="plain, packed or compiled.")] = "packed",
) -> None:
    """Compare 50 answers. Exits with 1 if one differs, or none was preempted."""
    cache_dir: Path = Settings().cache_dir.expanduser()
    checkpoint = locate(None, cache_dir=cache_dir)
    tokenizer = checkpoint.load_tokenizer()
    network: Any = checkpoint.load_network(dtype=torch.float32, device=torch.device("cpu"))
    prompts = [tokenizer.encode(prompt) for prompt in PROMPTS]
    expected = [generated(network, prompt, tokens) for prompt in track(prompts, "generate")]
    longest = max(map(len, prompts)) + tokens
    wanted: Forward = Settings(forward=forward).forward  # type: ignore[assignment,arg-type]
    runner = choose_runner(
        network,
        block_size=BLOCK_SIZE,
        room=lambda footprint: RUNNING * longest,
        forward=wanted,
        folder=cache_dir / "compiled",
    )
    end_ids = frozenset({network.config.eos_token_id})
    alone = Together(runner.model, blocks=longest // BLOCK_SIZE + 1)
    mixed = Together(runner.model, blocks=2 * longest // BLOCK_SIZE)
    results = {
        "alone": [
            alone.answers([each], tokens=tokens, end_ids=end_ids)[0] for each in track(prompts, "alone")
        ],
        "together": mixed.answers(prompts, tokens=tokens, end_ids=end_ids),
    }
    equal = {
        name: sum(mine == other for mine, other in zip(found, expected, strict=True))
        for name, found in results.items()
    }
    for name, count in equal.items():
        typer.echo(f"{name}: {count} of {len(prompts)} equal")
    typer.echo(f"preempted: {mixed.preemptions} times")
    raise typer.Exit(0 if mixed.preemptions and all(count == len(prompts) for count in equal.values()) else 1)


if __name__ == "__main__":
    typer.run(main)
