"""Brings the ranks of one model together, and lets them go."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined] # it is documented all the same

from shard.followers import Followers, leave, tether
from shard.parallel import RankError, Ranks
from shard.settings import Place

LOST_SECONDS = 1.0
"""How long after a failure a follower's end, which may be its reason, is waited for."""


@dataclass(frozen=True)
class Party:
    """This process among the ranks, and those of them that it has started itself, if any."""

    ranks: Ranks
    followers: Followers | None = None


@contextmanager
def gathered(
    *, num_shard: int, place: Place, device: torch.device, environment: Mapping[str, str]
) -> Iterator[Party]:
    """Run the block as one of `num_shard` ranks.

    Alone, unless more are wanted. Rank 0 starts the others, unless torchrun started them all.

    Args:
        place: which rank this process is, if it was started as one of several.
        environment: of the processes that are started.

    Raises:
        RankError: the ranks cannot be brought together. (If one is lost later, the process ends.)
    """
    if place.world_size > 1:
        with _joined(num_shard=num_shard, place=place, device=device) as ranks:
            yield Party(ranks)
    elif num_shard > 1:
        with _leading(num_shard, device=device, environment=environment) as party:
            yield party
    else:
        yield Party(Ranks(0, 1))


@contextmanager
def _joined(*, num_shard: int, place: Place, device: torch.device) -> Iterator[Ranks]:
    if num_shard not in (1, place.world_size):
        raise RankError(f"{num_shard} ranks are wanted, but {place.world_size} have been started")
    if (
        place.rank
    ):  # all ranks get these at once, but rank 0, which drains on them, needs the others until then
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    store = None
    if place.shard_tethered:
        tether()
        store = TCPStore(place.master_addr, place.master_port, place.world_size, is_master=False)
    _initialise(device, rank=place.rank, size=place.world_size, local_rank=place.local_rank, store=store)
    yield Ranks(place.rank, place.world_size)
    dist.destroy_process_group()


@contextmanager
def _leading(size: int, *, device: torch.device, environment: Mapping[str, str]) -> Iterator[Party]:
    store = TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False)
    followers = Followers(size=size, port=store.port, environment=environment)
    try:
        _initialise(device, rank=0, size=size, local_rank=0, store=store)
        yield Party(Ranks(0, size), followers)
        dist.destroy_process_group()
    except BaseException:
        lost = _lost(followers)
        followers.close(told=False)
        if lost:
            leave(lost)
        raise
    followers.close(told=True)


def _lost(followers: Followers) -> str | None:
    with suppress(TimeoutError):
        return followers.lost.result(timeout=LOST_SECONDS)
    return None


def _initialise(
    device: torch.device, *, rank: int, size: int, local_rank: int, store: TCPStore | None
) -> None:
    """Meet the other ranks: at `store`, or else where the environment says, as torchrun sets it."""
    if device.type == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise RankError(f"rank {rank} has no GPU: there are {torch.cuda.device_count()}")
        torch.cuda.set_device(local_rank)
        backend = "cpu:gloo,cuda:nccl"
    elif torch.cuda.is_available():
        raise RankError(
            "several ranks run on the GPUs if there are any: hide them with CUDA_VISIBLE_DEVICES="
        )
    else:
        backend = "gloo"
    if store is None:
        dist.init_process_group(backend)
    else:
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
