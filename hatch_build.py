"""Build hook: writes the protobuf and gRPC code beside its sources, so that it is never committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProtoBuildHook(BuildHookInterface):
    """Runs protoc from the root, so that the generated code imports itself as `protos.x_pb2`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        sources = [str(path.relative_to(root)) for path in sorted(root.glob("protos/*.proto"))]
        outputs = [f"--{kind}_out={root}" for kind in ("python", "pyi", "grpc_python")]
        if protoc.main(["protoc", f"-I{root}", *outputs, *(str(root / s) for s in sources)]) != 0:
            raise RuntimeError("protoc failed")
        build_data["artifacts"].append("protos/*_pb2*.py*")
