"""Rendering chat templates, as transformers renders them."""

from __future__ import annotations

from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from router.chat.template import ChatTemplate
from router.errors import RequestError

HELLO = {"role": "user", "content": "Hello"}
MARKED = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)


def render(template: str, *messages: dict[str, Any], **options: Any) -> str:
    chat = ChatTemplate(template, special_tokens={"bos_token": "<s>"})
    return chat.render(messages or (HELLO,), **options)


def reference(template: str, *messages: dict[str, Any], **options: Any) -> str:
    """What transformers makes of it."""
    rendered: Any = render_jinja_template([list(messages)], chat_template=template, **options)
    text: str = rendered[0][0]
    return text


@pytest.mark.parametrize(
    "template",
    [
        MARKED,
        "{{ messages | tojson }} {{ {'b': '<é>', 'a': 1} | tojson }} {{ [1, {'a': 2}] | tojson(indent=2) }}",
        "{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=True, ensure_ascii=True) }}",
        "{{ tools | tojson if tools is not none else 'none' }} {{ bos_token }} {{ missing }}|",
        "  {% if true %}\n a\n  {% endif %}\n{% for i in [1, 2] %}{{ i }}{% break %}{% endfor %}",
        "{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}",
        "{% set ns = namespace(a=1, self=2) %}{% set ns.a = 3 %}{{ ns.a }}{{ ns.self }}",
        "{{ dict(a=1) }}{{ dict.fromkeys(['x'], 2) }}{{ 'a b'.split()[-1] }}{{ strftime_now('%Y')|length }}",
    ],
)
@pytest.mark.parametrize("tools", [None, [{"type": "function", "function": {"name": "<f>"}}]])
def test_a_template_renders_as_in_transformers(template: str, tools: Any) -> None:
    options: Any = {"add_generation_prompt": True, "bos_token": "<s>"}
    assert render(template, tools=tools) == reference(template, HELLO, tools=tools, **options)


@pytest.mark.parametrize("trim", ["", " | trim"])
@pytest.mark.parametrize("text", ["The answer is", "The answer is ", " is"])
def test_a_last_message_of_the_assistant_is_continued(text: str, trim: str) -> None:
    template = MARKED.replace("m.content", "m.content" + trim)
    said = {"role": "assistant", "content": text}
    expected = reference(template, HELLO, said, continue_final_message=True)
    assert render(template, HELLO, said) == expected
    assert expected.endswith(text.strip() if trim else text)


def test_an_assistant_that_said_nothing_yet_answers() -> None:
    silent = {"role": "assistant", "content": ""}
    called = {"role": "assistant", "content": "a", "tool_calls": []}
    for last in (silent, called):
        assert render(MARKED, HELLO, last).endswith("</><a>")


def test_a_template_that_leaves_out_what_is_to_be_continued_is_an_error() -> None:
    with pytest.raises(RequestError, match="leaves out the last message"):
        render("{{ messages[0].content }}", HELLO, {"role": "assistant", "content": "a"})


def test_variables_are_the_caller_s_but_for_what_the_request_gives() -> None:
    variables = {"enable_thinking": False, "messages": [], "tools": 1, "bos_token": "<other>"}
    template = "{{ messages | length }}{{ tools }}{{ enable_thinking }}{{ bos_token }}"
    assert render(template, variables=variables) == "1NoneFalse<other>"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{% if %}", "Expected an expression, got 'end of statement block'"),
        ("{{ messages[0].name.first }}", "'dict object' has no attribute 'name'"),
        ("{{ messages[0].content + 1 }}", "can only concatenate str"),
        ("{{ 1 // 0 }}", "by zero"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    ],
)
def test_a_template_that_fails_says_why(template: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as error:
        render(template)
    assert error.value.part == "template"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='x') }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ namespace(_x=1) }}",
        "{{ raise_exception.__globals__.os }}",
        "{{ range(10 ** 9) }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(template: str) -> None:
    with pytest.raises(RequestError):
        render(template)
