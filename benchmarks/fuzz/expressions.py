"""Random regular expressions, in the syntax that ECMA-262 and Python share unless it says otherwise."""

from __future__ import annotations

from hypothesis import strategies as st

_ATOMS = st.sampled_from(
    [
        *("a", "b", "x", "-", " ", "é", "😀", ".", "[ab]", "[^a]", "[a-f0-9]", r"\d", r"\D", r"\w", r"\W"),
        *(r"\s", r"\.", r"\\", '"', r"\n", r"\u00e9", r"\x41", r"[\w.-]", r"[^\s]", r"\/", "(?:)", "[^\\n]"),
    ]
)
_ANCHORS = st.sampled_from(["^", "$", r"\b", r"\B"])
_REPEATS = st.sampled_from(["*", "+", "?", "*?", "{2}", "{0,3}", "{1,}", "{3,5}?", "{0}", "{20}"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, _REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda each: f"({each})"),
        st.tuples(st.sampled_from(["(?=", "(?!", "(?<=", "(?<!"]), inner).map(
            lambda pair: f"{''.join(pair)})"
        ),
    )


bodies = st.recursive(st.one_of(_ATOMS, _ATOMS, _ATOMS, _ANCHORS), _larger, max_leaves=7)
expressions = st.one_of(
    bodies,
    bodies.map(lambda body: f"^{body}$"),
    bodies.map(lambda body: f"^(?:{body})*$"),
    bodies.map(lambda body: f"^{body}"),
    st.sampled_from(["^[a-z]+$", "^$", "", "^x", "^(a+)+$", "(a|a)*b", "^(?!a)"]),
)

garbage = st.text(r"ab^$.*+?()[]{}|\-,:=!<>09dwsbuxpPkZ'\"/é", max_size=14)
"""What is mostly no expression at all."""

python_expressions = st.one_of(
    bodies,
    st.tuples(st.sampled_from(["(?i)", "(?s)", "(?m)", "(?i:", "(?P<n>"]), bodies).map(
        lambda pair: f"{''.join(pair)}{')' if pair[0].endswith((':', '>')) else ''}"
    ),
)
