"""What the person in front of `guiderail serve` sees."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from launcher.process import Relay

_NAME_WIDTH = len("grammar_service")

EXAMPLE_REQUEST = {
    "inputs": "I saw a puppy a cat and a raccoon during my bike ride in the park",
    "parameters": {
        "repetition_penalty": 1.3,
        "grammar": {
            "type": "json",
            "value": {
                "properties": {
                    "location": {"type": "string"},
                    "activity": {"type": "string"},
                    "animals_seen": {"type": "integer", "minimum": 1, "maximum": 5},
                    "animals": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["location", "activity", "animals_seen", "animals"],
            },
        },
    },
}
"""The first request of the guidance guide."""


class Endpoints(NamedTuple):
    """Where requests go."""

    http: str
    """URL of the API."""
    shard: str
    """host:port for internal callers."""
    grammar_service: str
    """host:port for internal callers."""


class Display:
    """On a terminal, a spinner with the shard's last line while the model loads; elsewhere plain lines."""

    def __init__(self, console: Console, endpoints: Endpoints) -> None:
        self._console = console
        self._endpoints = endpoints
        self._began = monotonic()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn(
                "[dim]{task.fields[line]}",
                markup=True,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._loading = self._progress.add_task("Loading the model", total=None, line="")

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Show that something happens for as long as the block runs."""
        if not self._console.is_terminal:
            self._say("starting; a model that is new here takes longer than one seen before")
        with self._progress:
            yield

    def relay(self, name: str) -> Relay:
        """What takes the output of the service `name`."""

        def relay(text: str, *, passing: bool) -> None:
            line = Text.from_ansi(text)
            if name == "shard":
                self._progress.update(self._loading, line=line.plain)
            if not passing:
                self._print(name, line)

        return relay

    def healthy(self, name: str) -> None:
        """The service `name` takes requests."""
        self._say(f"{name} is up after {monotonic() - self._began:.1f} s")

    def ready(self) -> None:
        """A request would succeed now: say where to send it, and give one to try."""
        example = json.dumps(EXAMPLE_REQUEST)
        url, shard, grammar_service = self._endpoints
        self._say(f"ready at {url} (API: {url}/docs, stop: Ctrl-C)", style="bold green")
        self._say(f"gRPC for internal callers: shard {shard}, grammar service {grammar_service}", style="")
        self._say("try:")
        self._console.print(
            f"curl {url}/generate -X POST -H 'Content-Type: application/json' -d '{example}'",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )

    def draining(self) -> None:
        """The user asked to stop."""
        self._say("stopping when the running requests are done; Ctrl-C again stops at once")

    def overdue(self, names: Iterable[str]) -> None:
        """The services `names` did not end in time and are killed."""
        self._say(f"killing {', '.join(names)}: not done in time", style="bold red")

    def ended(self, name: str, *, code: int, last_lines: Iterable[str]) -> None:
        """The service `name` ended by itself; the others will be stopped."""
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._say(f"{name} {how}, so the others are stopped. Its last lines:", style="bold red")
        for line in last_lines:
            self._console.print("    ", Text.from_ansi(line), soft_wrap=True, highlight=False)

    def _say(self, text: str, *, style: str = "bold") -> None:
        self._print("guiderail", Text(text, style=style))

    def _print(self, name: str, line: Text) -> None:
        message = Text.assemble((f"{name:{_NAME_WIDTH}} | ", "cyan"), line)
        self._console.print(message, soft_wrap=True, highlight=False)
