"""Where probes come from: what each kind of random grammar is made of."""

from __future__ import annotations

import gzip
import json
import re
from enum import StrEnum
from pathlib import Path
from random import Random

from hypothesis import strategies as st

from benchmarks.fuzz import evaluation, expressions, hostile
from benchmarks.fuzz.mutation import Mutation, parts
from benchmarks.fuzz.probe import Kind, Probe
from benchmarks.fuzz.schemas import documents
from benchmarks.fuzz.writing import read, write
from protos import grammar_pb2

_MAX_REAL_CHARACTERS = 20_000
_OLD_DRAFT = re.compile(r"json-schema\.org/draft-0[346]\b")
_seeds = st.integers(0, 2**32)
_whitespaces = st.sampled_from(
    [grammar_pb2.WHITESPACE_SINGLE, grammar_pb2.WHITESPACE_COMPACT, grammar_pb2.WHITESPACE_FLEXIBLE]
)
_strict = st.sampled_from([False, False, True])


class Source(StrEnum):
    """A kind of random grammar."""

    SCHEMAS = "schemas"
    EVALUATION = "evaluation"
    REAL = "real"
    EXPRESSIONS = "expressions"
    HOSTILE = "hostile"


def probes(source: Source, real: list[str]) -> st.SearchStrategy[Probe]:
    """Probes of one source; `real` are the texts of the schemas to change, at least one of them."""
    if source is Source.EXPRESSIONS:
        texts = st.one_of(expressions.python_expressions, expressions.expressions, hostile.patterns)
        return st.builds(Probe, kind=st.just(Kind.REGEX), source=texts, seed=_seeds)
    random_texts = documents.map(write)
    sound = st.one_of(random_texts, st.sampled_from(real)) if real else random_texts
    texts = {
        Source.SCHEMAS: random_texts,
        Source.EVALUATION: evaluation.documents.map(write),
        Source.REAL: st.builds(
            _changed, st.sampled_from(real or ["{}"]), sound, st.randoms(use_true_random=False)
        ),
        Source.HOSTILE: st.one_of(hostile.texts, hostile.texts, hostile.damaged(sound)),
    }[source]
    return st.builds(
        Probe,
        kind=st.just(Kind.JSON_SCHEMA),
        source=texts,
        strict=_strict,
        whitespace=_whitespaces,
        seed=_seeds,
        small_values=st.just(source is Source.EVALUATION),
    )


def real_schemas(folder: Path) -> list[str]:
    """The schemas of all NAME.jsonl.gz in a folder, as `benchmarks.coverage` reads them; not the longest."""
    texts = []
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts += [json.dumps(json.loads(line)["schema"]) for line in lines]
    return [
        _OLD_DRAFT.sub("json-schema.org/draft-07", text) for text in texts if len(text) < _MAX_REAL_CHARACTERS
    ]


def _changed(text: str, other: str, random: Random) -> str:
    """A schema, with some of its parts exchanged with its own or another's."""
    schema = read(text)
    mutation = Mutation(random, [*parts(schema)[1:200], *parts(read(other))[:50]])
    return write(mutation.of(schema, changes=random.randint(0, 4)))
