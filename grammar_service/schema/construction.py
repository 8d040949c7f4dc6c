"""From a schema to a program over bytes."""

from __future__ import annotations

from grammar_service.automata.speller import Speller
from grammar_service.schema.arrays import ArrayProcedure
from grammar_service.schema.document import Document
from grammar_service.schema.objects import ObjectProcedure, alternatives
from grammar_service.schema.reader import Reader
from grammar_service.schema.shape import ArrayShape
from grammar_service.schema.writer import Whitespace, Writer


def write_schema(
    document: Document, speller: Speller, start: int, final: int, *, strict: bool, whitespace: Whitespace
) -> None:
    """Add the values that satisfy `document` to the program, from `start` to `final`.

    Raises:
        InvalidRequestError: the schema is malformed, cannot be enforced, or exceeds a limit.
    """
    writer = Writer(speller, Reader(document, strict=strict), whitespace)
    writer.value((document.root,), start, final)
    while writer.unwritten:
        shape, entry, procedure = writer.unwritten.pop()
        if isinstance(shape, ArrayShape):
            ArrayProcedure(writer, shape, procedure).write(entry)
        else:
            for alternative in alternatives(shape, writer):
                ObjectProcedure(writer, alternative, procedure).write(entry)
