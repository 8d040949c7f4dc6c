"""Native code that torch's ahead-of-time compiler made of a module: made, kept, loaded and run."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shard.libraries import PART

_POINTER = ctypes.pythonapi.PyCapsule_GetPointer
_POINTER.restype = ctypes.c_void_p
_POINTER.argtypes = (ctypes.py_object, ctypes.c_char_p)
_CAPSULE = ctypes.pythonapi.PyCapsule_New
_CAPSULE.restype = ctypes.py_object
_CAPSULE.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


_SEARCHED = "LIBRARY_PATH"
"""Variable of the environment: where the linker searches, besides."""

_FLAGS = ["-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-fopenmp", "-fPIC"]
"""As torch compiles its own kernels."""


@dataclass(frozen=True)
class Kernel:
    """A kernel of our own, which is linked into the library instead of the operator that it computes."""

    operator: torch._ops.OpOverload
    source: Path
    """In C++."""
    declaration: str
    """Of the kernel's function there: aoti_torch_cpu_ and the operator's name, in torch's stable C interface
    (csrc/inductor/aoti_torch/c/shim.h)."""


def require_compiler() -> None:
    """Raise CompileError if there is no C++ compiler."""
    name = _compiler()
    if shutil.which(name) is None:
        raise CompileError(f"there is no C++ compiler here ({name})")


def _compiler() -> str:
    return os.environ.get("CXX", "g++")  # as torch looks for it


class CompileError(Exception):
    """The module cannot be compiled here. The message says why."""


def compile_module(
    module: nn.Module,
    arguments: Sequence[Any],
    path: Path,
    *,
    dynamic: Sequence[Any],
    kernels: Sequence[Kernel] = (),
) -> None:
    """Compile a module's forward pass, its weights included, to a library for this machine.

    Args:
        arguments: examples of what it takes: tensors, and lists of them.
        path: where to put the library; it appears there whole or not at all.
        dynamic: names (`torch.export.Dim`) of the dimensions that may have other sizes.
        kernels: of the operators that torch has none for.

    Raises:
        CompileError: there is no C++ compiler, or the module does what cannot be compiled.
    """
    require_compiler()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, suffix=PART) as folder:
            made = Path(folder) / path.name
            with _linkable(kernels, Path(folder)) as options:
                _compile(module, tuple(arguments), made, tuple(dynamic), options)
            made.replace(path)
    except Exception as error:  # the compiler fails in as many ways as there are modules
        reason = str(error).strip().splitlines()[:1]
        raise CompileError(": ".join([type(error).__name__, *reason])) from error


@contextmanager
def _linkable(kernels: Sequence[Kernel], folder: Path) -> Iterator[dict[str, Any]]:
    """Compile kernels to archives in `folder`, where the linker finds them meanwhile. Gives options."""
    from torch.utils.cpp_extension import include_paths

    includes = [f"-I{each}" for each in include_paths()]
    for each in kernels:
        made = folder / f"{each.source.stem}.o"
        for command in (
            [_compiler(), *_FLAGS, *includes, "-c", str(each.source), "-o", str(made)],
            ["ar", "rcs", str(folder / f"lib{each.source.stem}.a"), str(made)],
        ):
            subprocess.run(command, check=True, capture_output=True)
    before = os.environ.get(_SEARCHED)
    os.environ[_SEARCHED] = os.pathsep.join(filter(None, [str(folder), before]))
    try:
        yield {
            "aot_inductor.custom_ops_to_c_shims": {each.operator: [each.declaration] for each in kernels},
            "aot_inductor.custom_op_libs": [each.source.stem for each in kernels],
        }
    finally:
        if before is None:
            del os.environ[_SEARCHED]
        else:
            os.environ[_SEARCHED] = before


def _compile(
    module: nn.Module,
    arguments: tuple[Any, ...],
    path: Path,
    dynamic: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    # imported here, as the compiler takes long to load and is seldom needed
    from torch._inductor import aot_compile
    from torch._inductor.utils import fresh_cache
    from torch.fx.experimental import _config

    shapes: Any = _config
    # Inference tensors cannot be traced. Sizes of 0 and 1 are special unless one is oblivious of them.
    with torch.inference_mode(False), torch.no_grad(), shapes.patch(backed_size_oblivious=True):
        exported = torch.export.export(module, arguments, dynamic_shapes=dynamic, strict=False)
        with fresh_cache(dir=str(path.parent)):
            aot_compile(exported.module(), arguments, options=_options(path) | options)


def _options(path: Path) -> dict[str, Any]:
    return {
        "aot_inductor.output_path": str(path),
        "freezing": True,  # weights in oneDNN's layout
        "cpp.enable_concat_linear": True,  # one product for layers that read the same tensor
        "realize_reads_threshold": 0,  # else each layer computes the sines of the positions again
        "assert_indirect_indexing": False,  # block numbers are the scheduler's, never a caller's
    }


class NativeFunction:
    """A compiled module with one output. It runs without the interpreter's lock, so that streams go on.

    torch's own loader keeps the lock while the code runs. The library's C interface is declared stable by
    torch (csrc/inductor/aoti_runtime/interface.h).
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError if there is no such library or it needs another torch."""
        self._library = ctypes.CDLL(str(path), mode=os.RTLD_LOCAL)
        self._container = ctypes.c_void_p()
        created = self._library.AOTInductorModelContainerCreateWithDevice(
            ctypes.byref(self._container), ctypes.c_size_t(1), b"cpu", None
        )
        if created:
            raise OSError(f"{path} cannot be used")

    def __call__(self, inputs: Iterable[Tensor]) -> Tensor:
        """Run it on the tensors of its arguments, lists laid flat.

        Raises:
            RuntimeError: it failed; it has said why on standard error.
        """
        capsules = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(list(inputs))
        handles = (ctypes.c_void_p * len(capsules))(*(_POINTER(each, None) for each in capsules))
        result = ctypes.c_void_p()
        failed = self._library.AOTInductorModelContainerRun(
            self._container,
            handles,  # it frees them
            ctypes.c_size_t(len(handles)),
            ctypes.byref(result),
            ctypes.c_size_t(1),
            None,
            None,
        )
        if failed:
            raise RuntimeError("the compiled step failed")
        output: Tensor = torch._C._aoti.alloc_tensor_by_stealing_from_void_ptr(_CAPSULE(result, None, None))
        return output
