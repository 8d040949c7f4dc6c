"""What is printed, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import shlex

from rich.console import Console

from launcher.display import EXAMPLE_REQUEST, Display, Endpoints


def test_the_curl_that_is_printed_is_one_line_that_a_shell_reads(
    display: Display, output: io.StringIO
) -> None:
    display.ready()
    (line,) = (line for line in output.getvalue().splitlines() if line.startswith("curl"))
    words = shlex.split(line)
    assert words[1] == "http://127.0.0.1:3000/generate"
    assert json.loads(words[words.index("-d") + 1]) == EXAMPLE_REQUEST


def test_elsewhere_than_on_a_terminal_nothing_but_lines_is_printed(
    display: Display, output: io.StringIO
) -> None:
    with display.starting():
        display.relay("shard")("reading the model", passing=False)
        display.relay("shard")("10 %", passing=True)
    assert "\x1b" not in output.getvalue()
    assert "\r" not in output.getvalue()
    assert "shard           | reading the model\n" in output.getvalue()
    assert "10 %" not in output.getvalue()


def test_on_a_terminal_the_shards_last_line_stands_beside_the_spinner() -> None:
    output = io.StringIO()
    display = Display(
        Console(file=output, force_terminal=True, width=120),
        Endpoints("http://127.0.0.1:3000", "127.0.0.1:50051", "127.0.0.1:50052"),
    )
    with display.starting():
        display.relay("shard")("converting layer 7", passing=True)
    assert "Loading the model" in output.getvalue()
    assert "converting layer 7" in output.getvalue()


def test_brackets_in_a_log_line_are_printed_as_they_are(display: Display, output: io.StringIO) -> None:
    display.relay("router")("[bold]GET [/generate] :smile:", passing=False)
    display.ended("router", code=1, last_lines=["list[int] [/x]"])
    assert "[bold]GET [/generate] :smile:" in output.getvalue()
    assert "list[int] [/x]" in output.getvalue()


def test_an_end_by_a_signal_is_told_by_its_name(display: Display, output: io.StringIO) -> None:
    display.ended("shard", code=-9, last_lines=[])
    assert "shard was killed by SIGKILL" in output.getvalue()
