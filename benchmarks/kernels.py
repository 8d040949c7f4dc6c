"""`python -m benchmarks.kernels`: what the Triton kernels take of a GPU, as Triton's compiler tells."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from shard import paged_kernel

TARGET = GPUTarget("cuda", 90, 32)
"""Hopper."""

POINTERS = {
    "query": "*bf16",
    "keys": "*bf16",
    "values": "*bf16",
    "logsums": "*fp32",
    "starts": "*i32",
    "lengths": "*i32",
    "tables": "*i32",
    "sinks": "*bf16",
}
NUMBERS = {"scale": "fp32", "softcap": "fp32", "window": "i32", "sequences": "i32", "blocks": "i32"}


def main() -> None:
    """Print a table. It needs no GPU, and the tool that tells is part of Triton."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    print("| kernel | registers | bytes of stack | KiB of shared memory | tensor cores by |")
    print("|---|---|---|---|---|")
    for name, constants, options in _variants():
        compiled: Any = _compiled(constants, options)
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(compiled.asm["cubin"])
            file.flush()
            command = [str(tool), "--dump-resource-usage", file.name]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        registers, stack = (int(found) for found in re.findall(r"(?:REG|STACK):(\d+)", told))
        by = "wgmma" if "wgmma" in compiled.asm["ptx"] else "mma"
        print(f"| {name} | {registers} | {stack} | {compiled.metadata.shared / 1024:.0f} | {by} |")


def _variants() -> Iterator[tuple[str, dict[str, object], dict[str, int]]]:
    """What is compiled, as `TritonKernel` would: its name, the kernel's constants, the compiler's options."""
    for width in (64, 128, 256):
        for single, splits in ((True, 1), (True, 8), (False, 1)):
            for extras in (False, True) if width == 128 else (False,):
                wide = width > 128
                name = f"{'single tokens' if single else 'prompts'}, heads {width} wide"
                name += f", {splits} splits" if splits > 1 else ""
                name += ", window, softcap and sinks" if extras else ""
                constants: dict[str, object] = {
                    "key_heads": 8,
                    "groups": 4,
                    "width": width,
                    "value_width": width,
                    "block_size": 16,
                    "width_tile": width,
                    "value_tile": width,
                    "rows_tile": 16 if single else 32 if wide else 64,
                    "keys_tile": 64 if single or not wide else 32,
                    "splits": splits,
                    "single": single,
                    "windowed": extras,
                    "softcapped": extras,
                    "sunk": extras,
                }
                yield name, constants, {"num_warps": 4, "num_stages": 2 if wide else 3}


def _compiled(constants: dict[str, object], options: dict[str, int]) -> object:
    attended = {"attended": "*bf16" if constants["splits"] == 1 else "*fp32"}
    types = POINTERS | attended | NUMBERS
    names = paged_kernel.attend.arg_names
    signature = {name: types.get(name, "constexpr") for name in names}
    aligned = {(names.index(name),): [["tt.divisibility", 16]] for name in POINTERS | attended}
    source = ASTSource(paged_kernel.attend, signature, constants, aligned)
    return triton.compile(source, target=TARGET, options=options)


if __name__ == "__main__":
    main()
