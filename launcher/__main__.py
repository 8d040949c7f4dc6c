"""The `guiderail` command: options -> services -> supervisor."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from launcher.address import Address, local_address
from launcher.display import Display, Endpoints
from launcher.interrupts import Interrupts
from launcher.kinship import adopt_orphans
from launcher.options import Device, Dtype, Options
from launcher.preflight import PreflightError, check
from launcher.service import guiderail
from launcher.supervisor import Exit, Supervisor

USAGE_ERROR = 2
"""The exit code of a command line that cannot be served, as typer's own checks give it."""

SHARD_PORT = 50051
GRAMMAR_PORT = 50052
"""Where internal callers look first. If they are taken, as by another `guiderail serve`, any port does."""

_ENDING_SECONDS = 10.0
"""What services get, on top of draining, to notice that it is over and end."""

app = typer.Typer(name="guiderail", no_args_is_help=True, add_completion=False, rich_markup_mode="rich")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"guiderail {version('guiderail')}")
        raise typer.Exit


@app.callback()
def guiderail_command(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Serve large language models whose answers must have a shape."""


@app.command()
def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            envvar="SHARD_MODEL",
            help="A Hub id, a folder of safetensors, or a .gguf file. "
            "[dim]\\[default: the bundled SmolLM2-135M-Instruct]",
            show_default=False,
        ),
    ] = None,
    num_shard: Annotated[
        int,
        typer.Option(envvar="SHARD_NUM_SHARD", min=1, help="Processes, or GPUs, to split the model over."),
    ] = 1,
    host: Annotated[
        str, typer.Option(envvar="ROUTER_HOST", help="Where to listen; 0.0.0.0 is every interface.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", "-p", envvar="ROUTER_PORT", min=1, max=65535, help="Port of the HTTP API."),
    ] = 3000,
    redis_url: Annotated[
        str | None,
        typer.Option(
            envvar="GRAMMAR_REDIS_URL",
            help="Where compiled grammars are shared; without it they are kept in memory. "
            "[dim]redis://localhost:6379/0",
        ),
    ] = None,
    dtype: Annotated[Dtype | None, typer.Option(envvar="SHARD_DTYPE", help="Type of the weights.")] = None,
    device: Annotated[
        Device | None, typer.Option(envvar="SHARD_DEVICE", help="Where the model runs.")
    ] = None,
    lora_adapters: Annotated[
        str | None,
        typer.Option(
            envvar="SHARD_LORA_ADAPTERS",
            help="LoRA adapters that requests may name. [dim]NAME=FOLDER,NAME=FOLDER",
        ),
    ] = None,
    max_input_tokens: Annotated[
        int | None, typer.Option(envvar="SHARD_MAX_INPUT_TOKENS", min=1, help="The longest prompt.")
    ] = None,
    max_total_tokens: Annotated[
        int | None,
        typer.Option(envvar="SHARD_MAX_TOTAL_TOKENS", min=2, help="The longest prompt and answer together."),
    ] = None,
    max_concurrent_requests: Annotated[
        int | None,
        typer.Option(
            envvar="ROUTER_MAX_CONCURRENT_REQUESTS",
            min=1,
            help="Requests at once; one more is refused with 429.",
        ),
    ] = None,
    shard_address: Annotated[
        str | None,
        typer.Option(
            envvar="SHARD_ADDRESS",
            help="host:port of the shard's gRPC. [dim]\\[default: 127.0.0.1:50051, if free]",
        ),
    ] = None,
    grammar_address: Annotated[
        str | None,
        typer.Option(
            envvar="GRAMMAR_ADDRESS",
            help="host:port of the grammar service's gRPC. [dim]\\[default: 127.0.0.1:50052, if free]",
        ),
    ] = None,
    drain_seconds: Annotated[
        float,
        typer.Option(
            envvar="ROUTER_DRAIN_SECONDS", min=0, help="What running requests get to finish in after Ctrl-C."
        ),
    ] = 90.0,
) -> None:
    """Start Guiderail on this machine: grammar service, shard and router, until Ctrl-C.

    Ctrl-C lets running requests finish; a second one does not. If one of the three ends by itself, the others
    are stopped.

    Every other setting of a service is its variable in the environment, such as SHARD_CACHE_TOKENS.
    """
    options = Options(
        model=model,
        num_shard=num_shard,
        host=host,
        port=port,
        redis_url=redis_url,
        dtype=dtype,
        device=device,
        lora_adapters=lora_adapters,
        max_input_tokens=max_input_tokens,
        max_total_tokens=max_total_tokens,
        max_concurrent_requests=max_concurrent_requests,
        shard_address=shard_address or str(local_address(SHARD_PORT)),
        grammar_address=grammar_address or str(local_address(GRAMMAR_PORT)),
        drain_seconds=drain_seconds,
    )
    try:
        check(options)
    except PreflightError as error:
        typer.echo(f"guiderail serve: {error.option}: {error}", err=True)
        raise typer.Exit(USAGE_ERROR) from error
    raise typer.Exit(asyncio.run(_supervise(options, os.environ)))


async def _supervise(options: Options, environment: Mapping[str, str]) -> Exit:
    endpoints = Endpoints(
        http=f"http://{Address(options.host, options.port).reachable}",
        shard=options.shard_address,
        grammar_service=options.grammar_address,
    )
    adopt_orphans()
    interrupts = Interrupts()
    supervisor = Supervisor(
        guiderail(options, environment),
        display=Display(Console(stderr=True), endpoints),
        interrupts=interrupts,
        grace=options.drain_seconds + _ENDING_SECONDS,
    )
    with interrupts.listening():
        return await supervisor.run()


def main() -> None:
    """Entry point of the `guiderail` command."""
    app()


if __name__ == "__main__":
    main()
