"""Numbers in request bodies, in the ranges that they have on the way to the shard."""

from __future__ import annotations

import struct
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError


def _single(value: float) -> float:
    try:
        # Ranges are those of the 32-bit number that the shard gets: 0.99999999999 is 1, and 1e-60 is 0.
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        raise PydanticCustomError("float32", "number out of range of 32 bits") from None
    return rounded


Float32 = Annotated[float, AfterValidator(_single)]
Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
UInt32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
UInt64 = Annotated[int, Field(ge=0, le=2**64 - 1)]
