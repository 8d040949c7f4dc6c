"""What a schema means according to the jsonschema package, with exact numbers and ECMA-262's patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend, validator_for
from referencing.jsonschema import EMPTY_REGISTRY

from benchmarks.fuzz.patterns import UntranslatableError, to_python
from grammar_service.schema.formats import KNOWN_FORMATS

_OLD_DRAFT = re.compile(r"json-schema\.org/draft-0[1-7]\b")
_ONLY_OLD = {"dependencies", "additionalItems"}
_ONLY_NEW = {
    *("prefixItems", "minContains", "maxContains", "dependentRequired", "dependentSchemas"),
    *("unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$anchor", "$dynamicAnchor"),
}
_TURNING = {"not", "oneOf", "if", "maxContains", "unevaluatedItems", "unevaluatedProperties"}
"""What may hold because something else does not."""
_DATA = {"const", "enum", "default", "examples", "example"}
_CHECKED_FORMATS = ("ipv4", "ipv6", "uuid", "json-pointer", "email", "duration")
"""Those that the package judges as their standards do: its dates lack the year 0, its times leap seconds."""


class NoJudgementError(Exception):
    """The reference has no judgement, or none to rely on."""


class Reference:
    """Tells valid values from others. Formats that are enforced count only if asked for."""

    def __init__(self, schema: Any) -> None:
        """Read a schema whose numbers are `int` or `Decimal`.

        Raises:
            NoJudgementError: it is malformed, mixes drafts, or has patterns that Python does not know.
        """
        try:
            schema = _with_python_patterns(schema)
            draft = validator_for(schema, default=Draft202012Validator)
            draft.check_schema(schema)
        except UntranslatableError as error:
            raise NoJudgementError(str(error)) from error
        except Exception as error:  # malformed, in one of the many ways that the package has for saying so
            raise NoJudgementError(repr(error)) from error
        keywords = {keyword for part in _schemas(schema) for keyword in part}
        self.enforces_formats = any(part.get("format") in KNOWN_FORMATS for part in _schemas(schema))
        """Whether a string may be refused for its format."""
        old = isinstance(schema, dict) and bool(_OLD_DRAFT.search(str(schema.get("$schema", ""))))
        if keywords & (_ONLY_NEW if old else _ONLY_OLD) or "id" in keywords:
            raise NoJudgementError("it has keywords of several drafts")
        if self.enforces_formats and keywords & _TURNING:
            raise NoJudgementError("a format that is taken for an annotation makes values valid or invalid")
        if any(part is not schema and isinstance(part.get("$schema"), str) for part in _schemas(schema)):
            raise NoJudgementError(
                "a part says what draft it is of, and the package leaves exact numbers there"
            )
        types = draft.TYPE_CHECKER.redefine("integer", _is_integer)
        exact = extend(draft, validators={"multipleOf": _multiple_of}, type_checker=types)
        self._validator = exact(schema, registry=EMPTY_REGISTRY)
        formats = FormatChecker(formats=_CHECKED_FORMATS)
        self._with_formats = exact(schema, registry=EMPTY_REGISTRY, format_checker=formats)

    def complaint(self, value: Any, *, formats: bool) -> str | None:
        """Why the value is not valid; None if it is.

        Raises:
            NoJudgementError: the reference fails.
        """
        validator = self._with_formats if formats else self._validator
        try:
            error = next(validator.iter_errors(value), None)
        except Exception as error:  # what the reference cannot do is not what is tested
            raise NoJudgementError(repr(error)) from error
        return None if error is None else f"{error.message[:200]} (schema path: {list(error.schema_path)})"


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The objects of a schema document that may be schemas."""
    stack = [schema]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            yield part
            stack.extend(value for keyword, value in part.items() if keyword not in _DATA)
        elif isinstance(part, list):
            stack.extend(part)


def _with_python_patterns(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_python_patterns(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {}
    for keyword, value in schema.items():
        if keyword in _DATA:
            changed[keyword] = value
        elif keyword == "pattern" and isinstance(value, str):
            changed[keyword] = to_python(value)
        elif keyword == "patternProperties" and isinstance(value, dict):
            changed[keyword] = {to_python(key): _with_python_patterns(each) for key, each in value.items()}
        else:
            changed[keyword] = _with_python_patterns(value)
    return changed


def _is_integer(checker: Any, value: Any) -> bool:
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _multiple_of(validator: Any, factor: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "number") and (Fraction(value) / Fraction(factor)).denominator != 1:
        yield ValidationError(f"{value} is not a multiple of {factor}")
