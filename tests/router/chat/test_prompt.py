"""Prompts of conversations with tools, by the templates of real models."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from router.chat.conversation import Call, Message
from router.chat.formats.detection import format_of
from router.chat.formats.hermes import HERMES
from router.chat.formats.llama3 import LLAMA3
from router.chat.formats.mistral import NAMES_AND_ARGUMENTS
from router.chat.formats.plain import PLAIN
from router.chat.prompt import Prompt, write_prompt
from router.chat.tools import Tool, ToolUse
from router.errors import RequestError
from router.grammar import JsonSchema, Regex, Tag
from router.model import Model

Models = Callable[[str], Model]

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="get_weather", description="The weather <now>", parameters=CITY, strict=None)
TIME = Tool(name="get_time", description=None, parameters={"type": "object", "properties": {}}, strict=False)
USE = ToolUse(tools=(WEATHER, TIME), required=False, several=True)

ASKED = Message(role="user", content="And in Köln?")
CALLED = Message(
    role="assistant", calls=(Call(id="call_1", name="get_weather", arguments='{"city": "Köln"}'),)
)
RESULT = Message(role="tool", content="18", call_id="call_1")
CALLED_TWICE = Message(
    role="assistant",
    content="Let me see.",
    calls=(*CALLED.calls, Call(id="call_2", name="get_time", arguments="{}")),
)
RESULTS = [RESULT, Message(role="tool", content="12:00", call_id="call_2")]


def write(model: Model, messages: Sequence[Message], *, use: ToolUse | None = None, **given: Any) -> Prompt:
    options = {"tool_prompt": None, "variables": {}, **given}
    return write_prompt(model, messages, use=use, **options)


def test_hermes_calls_and_results_are_written_by_the_template(model: Models) -> None:
    prompt = write(model("qwen"), [ASKED, CALLED_TWICE, *RESULTS], use=USE)
    assert prompt.format is HERMES
    for tool in (WEATHER, TIME):
        assert "\n" + json.dumps(tool.described(), ensure_ascii=False) in prompt.text
    assert prompt.text.endswith(
        "<|im_start|>user\nAnd in Köln?<|im_end|>\n"
        "<|im_start|>assistant\nLet me see.\n"
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\n18\n</tool_response>\n"
        "<tool_response>\n12:00\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def test_llamas_call_is_written_by_the_template_and_there_is_one(model: Models) -> None:
    llama = model("llama3")
    prompt = write(llama, [ASKED, CALLED, RESULT], use=USE, variables={"date_string": "today"})
    assert prompt.format is LLAMA3
    assert prompt.use == ToolUse(tools=USE.tools, required=False, several=False)
    assert "Today Date: today<|eot_id|>" in prompt.text
    assert json.dumps(WEATHER.described(), indent=4) in prompt.text
    assert '{"name": "get_weather", "parameters": {"city": "Köln"}}<|eot_id|>' in prompt.text
    with pytest.raises(RequestError, match="only supports single tool-calls at once"):
        write(llama, [ASKED, CALLED_TWICE, *RESULTS])


def test_mistrals_ids_are_made_to_have_nine_characters(model: Models) -> None:
    prompt = write(model("mistral"), [ASKED, CALLED_TWICE, *RESULTS], use=USE)
    ids = [prompt.format.known_id(f"call_{number}") for number in (1, 2)]
    assert all(len(each) == 9 and each.isalnum() for each in ids)
    assert len(set(ids)) == 2
    assert prompt.text.endswith(
        '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Köln"}, "id": "' + ids[0] + '"}, '
        '{"name": "get_time", "arguments": {}, "id": "' + ids[1] + '"}]</s>'
        f'[TOOL_RESULTS]{{"content": 18, "call_id": "{ids[0]}"}}[/TOOL_RESULTS]'
        f'[TOOL_RESULTS]{{"content": 12:00, "call_id": "{ids[1]}"}}[/TOOL_RESULTS]'
    )
    assert prompt.format.known_id("abcdef123") == "abcdef123"
    assert len(prompt.format.new_id()) == 9


def test_a_model_without_tools_is_told_of_them_and_reads_calls_as_text(model: Models) -> None:
    tools = json.dumps([WEATHER.described(), TIME.described()])
    prompt = write(model("smollm2"), [ASKED, CALLED_TWICE, *RESULTS], use=USE)
    assert prompt.format is PLAIN
    begin, rest = prompt.text.split(f"<|im_start|>user\nAnd in Köln?\n---\n{tools}\n")
    assert begin.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert rest.startswith("Given the functions available, please respond with a JSON for a function call")
    assert rest.endswith(
        "answer in plain text instead.<|im_end|>\n<|im_start|>assistant\nLet me see.<|im_end|>\n"
        '<|im_start|>user\nResult of get_weather with {"city": "Köln"}: 18\n'
        "Result of get_time with {}: 12:00\n"
        "With this, answer in plain text: And in Köln?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    required = write(model("smollm2"), [ASKED], use=ToolUse(tools=(TIME,), required=True, several=False))
    assert "Do not use variables.<|im_end|>" in required.text


def test_results_of_unknown_calls_are_read_too(model: Models) -> None:
    results = [Message(role="tool", content="1", name="f"), Message(role="tool", content="2", call_id="?")]
    text = write(model("smollm2"), results).text
    assert "user\nResult of f: 1\nResult: 2\nWith this, answer in plain text." in text


def test_results_ask_for_an_answer_where_one_may_follow(model: Models) -> None:
    required = ToolUse(tools=(TIME,), required=True, several=False)
    assert (
        "Result of get_weather: 18<|im_end|>"
        in write(model("smollm2"), [ASKED, CALLED, RESULT], use=required).text
    )
    answered = [ASKED, CALLED, RESULT, Message(role="assistant", content="18."), ASKED]
    asked_again = write(model("smollm2"), answered, use=USE).text
    assert "Result of get_weather: 18<|im_end|>" in asked_again
    assert '{"name": "get_weather", "parameters": {"city": "Köln"}}<|im_end|>' in asked_again


def test_the_caller_s_words_on_tools_stand_behind_what_the_user_said_last(model: Models) -> None:
    conversation = [ASKED, CALLED, RESULT]
    qwen = write(model("qwen"), conversation, use=USE, tool_prompt="Use them.").text
    assert "user\nAnd in Köln?\n---\nUse them.<|im_end|>" in qwen
    plain = write(model("smollm2"), conversation, use=USE, tool_prompt="Use them.").text
    assert "}]\nUse them.<|im_end|>" in plain
    assert "Given the functions" not in plain
    assert "Use them" not in write(model("qwen"), conversation, tool_prompt="Use them.").text
    nobody = write(model("smollm2"), [Message(role="system", content="Hi")], use=USE, tool_prompt="Now!")
    assert "Hi\n---\n" in nobody.text


def test_reasoning_is_handed_to_the_template_and_expected_of_the_model(model: Models) -> None:
    thought = Message(role="assistant", content="Yes.", reasoning="Hm.")
    prompt = write(model("qwen"), [ASKED, thought, ASKED])
    assert "assistant\n<think>\nHm.\n</think>\n\nYes.<|im_end|>" in prompt.text
    assert prompt.thinking is not None
    assert write(model("qwen"), [ASKED], variables={"enable_thinking": False}).thinking is None
    assert write(model("smollm2"), [ASKED]).thinking is None


def test_arguments_that_are_no_json_object_stay_text(serving: Callable[..., Model]) -> None:
    shown = serving(default="{{ messages[0].tool_calls[0].function.arguments | tojson }} tool_calls")
    for text, written in (('{"a": 1}', '{"a": 1}'), ('{"a": ', '"{\\"a\\": "'), ("[1]", '"[1]"')):
        message = Message(role="assistant", calls=(Call(id="1", name="f", arguments=text),))
        assert format_of(shown.chat_templates["default"]) is PLAIN
        in_template = serving(default=shown.chat_templates["default"] + "{# <tool_call> arguments #}")
        assert write(in_template, [message]).text == f"{written} tool_calls"


def test_developers_are_the_system_unless_the_template_knows_them(serving: Callable[..., Model]) -> None:
    messages = [Message(role="developer", content="a")]
    template = "{% for m in messages %}{{ m.role }}{% endfor %}"
    assert write(serving(default=template), messages).text == "system"
    assert write(serving(default=template + "{# developer #}"), messages).text == "developer"


def test_a_template_of_its_own_for_tools_is_used_for_tools_only(serving: Callable[..., Model]) -> None:
    both = serving(default="default", tool_use="tool_use")
    assert write(both, [ASKED], use=USE).text == "tool_use"
    assert write(both, [ASKED]).text == "default"
    for none in (serving(), serving(tool_use="x")):
        with pytest.raises(RequestError, match=r"^template not found$"):
            write(none, [ASKED])


@pytest.mark.parametrize(
    ("template", "form"),
    [
        ("<tool_call> {{ call.arguments }}", HERMES),
        ("<tool_call> <function={{ name }}> arguments", PLAIN),
        ("[TOOL_CALLS]{{ name }}[ARGS]", NAMES_AND_ARGUMENTS),
        ("{{ message.content }}", PLAIN),
    ],
)
def test_the_form_of_calls_is_read_from_the_template(template: str, form: Any) -> None:
    assert format_of(template) is form


def test_mistral_s_lists_begin_as_in_the_template() -> None:
    assert format_of('"[TOOL_CALLS] ["').syntax.open == "[TOOL_CALLS] ["
    assert format_of('"[TOOL_CALLS]["').syntax.open == "[TOOL_CALLS]["


def test_a_tool_s_arguments_are_its_schema_and_an_object(model: Models) -> None:
    grammar = write(model("smollm2"), [ASKED], use=USE).grammar(None)
    assert getattr(grammar, "tags", None) == (
        Tag(
            begin='{"name": "get_weather", "parameters": ',
            content=JsonSchema(text=json.dumps(CITY)),
            end="}",
        ),
        Tag(
            begin='{"name": "get_time", "parameters": ',
            content=JsonSchema(text='{"type": "object", "properties": {}}', strict=False),
            end="}",
        ),
    )


@pytest.mark.parametrize(
    ("name", "required", "free_text", "triggers"),
    [
        ("smollm2", False, "before", ('{"name": "',)),
        ("smollm2", True, "nowhere", ()),
        ("qwen", False, "before", ("<tool_call>",)),
        ("qwen", True, "before", ("<tool_call>",)),  # behind its reasoning
        ("mistral", True, "nowhere", ()),
    ],
)
def test_text_may_come_before_calls_unless_they_are_required(
    model: Models, name: str, required: bool, free_text: str, triggers: tuple[str, ...]
) -> None:
    use = ToolUse(tools=(TIME,), required=required, several=True)
    grammar = write(model(name), [ASKED], use=use).grammar(None)
    told = [
        getattr(grammar, field) for field in ("at_least_one", "free_text", "triggers", "stop_after_first")
    ]
    assert told == [required, free_text, triggers, False]


def test_a_constraint_holds_behind_the_reasoning(model: Models) -> None:
    constraint = Regex(pattern="a")
    assert write(model("smollm2"), [ASKED]).grammar(constraint) is constraint
    assert write(model("smollm2"), [ASKED]).grammar(None) is None
    thinking = write(model("qwen"), [ASKED])
    assert thinking.grammar(None) is None
    assert getattr(thinking.grammar(constraint), "triggers", None) == ("</think>",)
