"""From a schema to a program over bytes."""

from __future__ import annotations

from grammar_service.schema.arrays import ArrayProcedure
from grammar_service.schema.objects import ObjectProcedure, alternatives
from grammar_service.schema.shape import ArrayShape
from grammar_service.schema.writer import Writer


def write_bodies(writer: Writer) -> None:
    """Add the arrays and objects that a writer has only called so far.

    Raises:
        InvalidRequestError: the schema is malformed, cannot be enforced, or exceeds a limit.
    """
    while writer.unwritten:
        shape, entry, procedure = writer.unwritten.pop()
        if isinstance(shape, ArrayShape):
            ArrayProcedure(writer, shape, procedure).write(entry)
        else:
            for alternative in alternatives(shape, writer):
                ObjectProcedure(writer, alternative, procedure).write(entry)
