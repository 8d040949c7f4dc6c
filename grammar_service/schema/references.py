"""Following references: `$ref`, `$dynamicRef` and `$recursiveRef`."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from grammar_service.schema.document import Place, draft_of, resolved, resource
from grammar_service.schema.resources import Resources, names_dynamically

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class References:
    """What the references of one document lead to: places of the document itself, or of a metaschema."""

    def __init__(self, root: Place) -> None:
        self._resources = Resources()
        self._listed = names_dynamically(root.schema)
        root = replace(
            root,
            base=resource("", root.schema),
            alone=draft_of(root.schema) <= 7,
            draft4=draft_of(root.schema) <= 4,
        )
        if self._listed:
            self._resources.add(root)
            root = replace(root, anchored=self._resources.anchored).entered(())
        self.root = root
        draft = root.schema.get("$schema") if isinstance(root.schema, dict) else None
        self.contains_evaluates = not (isinstance(draft, str) and "/2019-09/" in draft)
        """Whether items are evaluated by `contains`: in draft 2019-09 they were not."""

    def follow(self, place: Place, keyword: str) -> Place:
        """The place that a reference refers to: by pointer (RFC 6901), anchor or identifier.

        Raises:
            UnsupportedSchemaError: it is malformed, leads nowhere, or leads out of the document.
        """
        reference = place.schema[keyword]
        if not isinstance(reference, str):
            raise place.refuse(keyword, "must be a string")
        uri, _, fragment = resolved(place.base, reference).partition("#")
        fragment = unquote(fragment)
        if not fragment or fragment.startswith("/"):
            target, tokens = self._find(uri), fragment.split("/")[1:]
        else:
            target, tokens = self._find(uri, fragment), []
        if target is None:
            raise place.refuse(keyword, f"{reference!r} is nowhere in this document, and others are not read")
        dynamic = (keyword == "$dynamicRef" and fragment) or (keyword == "$recursiveRef" and not fragment)
        if dynamic and self._resources.dynamic(uri, fragment):
            target = self._outermost(place, fragment) or target
        # What a pointer passes on its way is not entered, only where it leads.
        target = self._descend(replace(target, anchored=frozenset(), scope=()), tokens, place, keyword)
        target = replace(target, anchored=self._resources.anchored, lenient=place.lenient)
        return target.entered(place.scope)

    def _find(self, uri: str, anchor: str = "") -> Place | None:
        if not anchor and uri == self.root.base:
            return self.root
        if not self._listed:
            self._listed = True
            self._resources.add(self.root)
        return self._resources.find(uri, anchor)

    def _outermost(self, place: Place, anchor: str) -> Place | None:
        """The first resource in the dynamic scope that has the anchor."""
        found = (self._resources.dynamic(uri, anchor) for uri in place.scope)
        return next((target for target in found if target), None)

    def _descend(self, target: Place, tokens: list[str], place: Place, keyword: str) -> Place:
        for token in tokens:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(target.schema, dict) and key in target.schema:
                target = target.child(key)
            elif isinstance(target.schema, list) and key.isdecimal() and int(key) < len(target.schema):
                target = target.child(int(key))
            else:
                raise place.refuse(keyword, f"{place.schema[keyword]!r} leads nowhere")
        return target
