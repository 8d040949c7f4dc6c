"""Expressions at the edges of the text: anchors that hold there, and text that may stand before or after."""

from __future__ import annotations

from grammar_service.regex.tree import (
    ANYTHING,
    BEGIN,
    EMPTY,
    END,
    Alternation,
    Concatenation,
    Node,
    Repetition,
    concatenation,
)


def bound(node: Node, *, at_end: bool) -> Node:
    """A node that begins (ends) where the text does: an anchor there says nothing, and is left out."""
    anchor = END if at_end else BEGIN
    if node == anchor:
        return EMPTY
    if isinstance(node, Alternation):
        return Alternation(tuple(bound(option, at_end=at_end) for option in node.options))
    if not isinstance(node, Concatenation) or not node.parts:
        return node
    outer, rest = _parted(node, at_end=at_end)
    if outer == anchor:
        return bound(rest, at_end=at_end)
    return _joined(bound(outer, at_end=at_end), rest, at_end=at_end)


def free(node: Node, *, at_end: bool) -> Node:
    """A node with any text before it (after it). What that text could be as well is left out of the node."""
    anchor = END if at_end else BEGIN
    if node == anchor:
        return EMPTY
    if isinstance(node, Alternation) and _has_anchor(node, at_end=at_end):
        anchored = [option for option in node.options if _has_anchor(option, at_end=at_end)]
        others = [option for option in node.options if option not in anchored]
        options = [free(option, at_end=at_end) for option in anchored]
        if others:
            options.append(_joined(ANYTHING, Alternation(tuple(others)), at_end=at_end))
        return Alternation(tuple(options))
    if isinstance(node, Repetition):
        # The text may hold all but the fewest of its turns.
        if node.least < 2:
            return free(node.node if node.least else EMPTY, at_end=at_end)
        return _joined(ANYTHING, Repetition(node.node, node.least, node.least, node.position), at_end=at_end)
    if not isinstance(node, Concatenation) or not node.parts:
        return _joined(ANYTHING, node, at_end=at_end)
    outer, rest = _parted(node, at_end=at_end)
    if outer == anchor:
        return bound(rest, at_end=at_end)
    if isinstance(outer, Repetition) and not outer.least:
        return free(rest, at_end=at_end)
    return _joined(free(outer, at_end=at_end), rest, at_end=at_end)


def _has_anchor(node: Node, *, at_end: bool) -> bool:
    """Whether the anchor of that edge stands at that edge of the node."""
    if isinstance(node, Alternation):
        return any(_has_anchor(option, at_end=at_end) for option in node.options)
    if isinstance(node, Concatenation):
        return bool(node.parts) and _has_anchor(_parted(node, at_end=at_end)[0], at_end=at_end)
    return node == (END if at_end else BEGIN)


def _parted(node: Concatenation, *, at_end: bool) -> tuple[Node, Node]:
    """The part at the edge, and the rest."""
    if at_end:
        return node.parts[-1], concatenation(node.parts[:-1])
    return node.parts[0], concatenation(node.parts[1:])


def _joined(outer: Node, rest: Node, *, at_end: bool) -> Node:
    return concatenation((rest, outer) if at_end else (outer, rest))
