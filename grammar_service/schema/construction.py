"""From a schema to a program over bytes."""

from __future__ import annotations

from grammar_service.automata.speller import Speller
from grammar_service.limits import Limits
from grammar_service.schema.arrays import ArrayProcedure
from grammar_service.schema.document import parse_document
from grammar_service.schema.objects import ObjectProcedure
from grammar_service.schema.reader import Reader
from grammar_service.schema.references import References
from grammar_service.schema.shape import ArrayShape
from grammar_service.schema.witnesses import alternatives
from grammar_service.schema.writer import Known, Writer


def write_schema(
    document: str, speller: Speller, known: Known, start: int, final: int, *, strict: bool, limits: Limits
) -> Writer:
    """Add the values that satisfy the schema in `document`, as JSON, to the program: `start` to `final`.

    Args:
        known: what is in the program already.

    Returns:
        What has written it, which knows what the program has now.

    Raises:
        InvalidRequestError: it is not JSON, is malformed, cannot be enforced, or exceeds a limit.
    """
    references = References(parse_document(document, max_depth=limits.max_schema_depth))
    writer = Writer(speller, Reader(references, strict=strict, limits=limits), known.copy())
    writer.value((references.root,), start, final)
    while writer.unwritten:
        shape, entry, procedure = writer.unwritten.pop()
        if isinstance(shape, ArrayShape):
            ArrayProcedure(writer, shape, procedure, max_unique_values=limits.max_unique_values).write(entry)
        else:
            for alternative in alternatives(shape, writer):
                ObjectProcedure(writer, alternative, procedure).write(entry)
    return writer
