"""Every kind of grammar, written into a program."""

from __future__ import annotations

from grammar_service.automata.dfa import Dfa
from grammar_service.automata.speller import Speller
from grammar_service.automata.spelling import Spelling
from grammar_service.limits import Limits
from grammar_service.regex.automaton import fullmatch
from grammar_service.schema.construction import write_schema
from grammar_service.schema.writer import Known, Whitespace
from grammar_service.tagged.delimitation import check_language, check_numbers
from grammar_service.tagged.tags import Tag, Tags
from grammar_service.tagged.writer import write_tagged, write_text
from protos import grammar_pb2
from protos.errors import InvalidRequestError

_WHITESPACE = {
    grammar_pb2.WHITESPACE_UNSPECIFIED: Whitespace.SINGLE,
    grammar_pb2.WHITESPACE_SINGLE: Whitespace.SINGLE,
    grammar_pb2.WHITESPACE_COMPACT: Whitespace.COMPACT,
    grammar_pb2.WHITESPACE_FLEXIBLE: Whitespace.FLEXIBLE,
}


def whitespace_of(grammar: grammar_pb2.Grammar) -> Whitespace:
    """The whitespace of the JSON that a grammar has, or may have first."""
    if grammar.WhichOneof("source") == "tagged" and grammar.tagged.tags:
        grammar = grammar.tagged.tags[0].content
    return _WHITESPACE[grammar.whitespace]


def write_grammar(
    grammar: grammar_pb2.Grammar, speller: Speller, known: Known, start: int, final: int, *, limits: Limits
) -> dict[int, Tag]:
    """Add the answers that `grammar` allows to the program, from `start` to `final`.

    Args:
        known: what is in the program already.

    Returns:
        Of a tagged grammar, the state in which the content of each tag begins.

    Raises:
        InvalidRequestError: the grammar is malformed, or asks for what cannot be enforced.
    """
    if grammar.WhichOneof("source") != "tagged":
        _Plain(speller, known, limits).write(grammar, start, final, end="", last=True)
        return {}
    tags = Tags.read(grammar.tagged)

    def write_rest(tag: Tag, source: int, target: int) -> None:
        try:
            _Plain(speller, known, limits).write(
                tag.content, source, target, end=tag.end, last=tags.stop_after_first and not tags.close
            )
        except InvalidRequestError as error:
            raise InvalidRequestError(f"{tag.field}.content: {error}") from error

    return write_tagged(tags, speller, start, final, write_rest)


class _Plain:
    """Writes grammars that are not tagged."""

    def __init__(self, speller: Speller, known: Known, limits: Limits) -> None:
        self._speller = speller
        self._known = known
        self._limits = limits

    def write(self, grammar: grammar_pb2.Grammar, start: int, final: int, *, end: str, last: bool) -> None:
        """Add the answers of a grammar, with `end` after each.

        Unless that is the `last` of the answer, what has been read must tell that it is there.
        """
        match grammar.WhichOneof("source"):
            case "json_schema":
                strict = grammar.strict if grammar.HasField("strict") else True
                self._write_json(grammar, start, final, end=end, last=last, strict=strict)
            case "json_object":
                self._write_json(grammar, start, final, end=end, last=last, strict=False)
            case "regex":
                self._write_language(fullmatch(grammar.regex), start, final, end=end, last=last)
            case "choice":
                if not grammar.choice.values:
                    raise InvalidRequestError("a choice needs at least one value")
                words = Dfa.words(grammar.choice.values)
                self._write_language(words, start, final, end=end, last=last)
            case "tagged":
                raise InvalidRequestError("a tagged grammar cannot stand inside another one")
            case _:
                raise InvalidRequestError("the grammar is empty: none of the kinds that there are is set")

    def _write_json(
        self, grammar: grammar_pb2.Grammar, start: int, final: int, *, end: str, last: bool, strict: bool
    ) -> None:
        document = grammar.json_schema if grammar.HasField("json_schema") else '{"type": "object"}'
        whitespace = _WHITESPACE[grammar.whitespace]
        known = self._known if self._known.whitespace is whitespace else Known(whitespace)
        ended = self._speller.program.state()
        writer = write_schema(
            document, self._speller, known, start, ended, strict=strict, limits=self._limits
        )
        if (end or not last) and any(
            shape.number for shape in writer.reader.shapes((writer.reader.references.root,))
        ):
            check_numbers(end)
        write_text(self._speller, ended, end, final)

    def _write_language(self, language: Dfa, start: int, final: int, *, end: str, last: bool) -> None:
        """Add the strings of a language with `end` after each, as one leaf: they may overlap."""
        if end:
            most = self._speller.program.max_states
            language = language.concatenation(Dfa.words([end]), max_states=most)
        if not last:
            check_language(language)
        self._speller.program.epsilon[start].append(self._speller.language(language, Spelling.RAW, final))
