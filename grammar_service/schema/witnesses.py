"""What objects must have somewhere: the keys that may bear witness, and the ways to declare them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod

from grammar_service.automata.dfa import Dfa
from grammar_service.schema.document import UnsupportedSchemaError
from grammar_service.schema.shape import ObjectShape, Schemas, Witness, joined
from grammar_service.schema.writer import Writer

MAX_ALTERNATIVES = 256
MAX_WITNESSES = 6
"""The most ways, and the most witnesses, in which an object may have to be told from what it must not be."""


def alternatives(shape: ObjectShape, writer: Writer) -> Iterator[ObjectShape]:
    """The shape with each witness either a declared key, or left to the undeclared ones.

    Raises:
        UnsupportedSchemaError: there are too many ways.
    """
    if not shape.witnesses:
        yield shape
        return
    declared = joined(dict(shape.properties), shape.required)
    ways = [
        [key for key in declared if witness_keys(witness, writer).accepts(key)] + [None]
        for witness in shape.witnesses
    ]
    if prod(map(len, ways)) > MAX_ALTERNATIVES or len(shape.witnesses) > MAX_WITNESSES:
        raise refusal(shape, "not", f"there are more than {MAX_ALTERNATIVES} ways to satisfy it")
    for combination in product(*ways):
        alternative: ObjectShape | None = replace(
            shape,
            witnesses=tuple(w for w, key in zip(shape.witnesses, combination, strict=True) if key is None),
        )
        for witness, key in zip(shape.witnesses, combination, strict=True):
            if key is not None:
                demanded = ObjectShape(properties=((key, witness.schemas),), required=(key,))
                alternative = alternative and alternative.intersection(demanded)
        if alternative:
            yield alternative


def key_language(schemas: Schemas, writer: Writer) -> Dfa:
    """The strings that satisfy `schemas`."""
    language = Dfa.words([])
    for shape in writer.reader.shapes(schemas):
        if shape.string:
            language = language.union(writer.language(shape.string), max_states=writer.program.max_states)
    return language


def witness_keys(witness: Witness, writer: Writer) -> Dfa:
    """The keys that may bear witness."""
    return key_language(witness.names, writer) if witness.names else writer.language(witness.keys)


def refusal(shape: ObjectShape, keyword: str, why: str) -> UnsupportedSchemaError:
    """The error that says why `keyword` cannot stand where an object shape comes from."""
    pointer = shape.origin.pointer if shape.origin else ""
    return UnsupportedSchemaError(pointer=pointer, keyword=keyword, why=why)
