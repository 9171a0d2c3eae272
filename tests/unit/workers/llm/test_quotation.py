"""A server's words are quoted, and what somebody said is not, in whatever form it is repeated."""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import httpx
import openai
import pytest

from workers.llm.errors import ContextTooLong, Explainer, SystemRoleRefused
from workers.llm.quotation import LEFT_OUT, describe_body, repeats

SPOKEN: Final = "My pin is 4711, and Stra\u00dfe 9 is where I live."
SAID: Final = [{"role": "user", "content": SPOKEN}]
EXPLAINER: Final = Explainer("http://llm:8000/v1", "sk-key")


def refuse(body: Any, status: int = 422) -> openai.APIStatusError:
    request = httpx.Request("POST", "http://llm:8000/v1/chat/completions")
    response: Any = httpx.Response(status, request=request, json=body)
    return openai.APIStatusError("refused", response=response, body=body)


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "in capitals": str.upper,
    "as JSON": json.dumps,
    "as a repr": repr,
    "in an address": quote,
    "in pieces": lambda text: " | ".join(text.split()),
    "cut off": lambda text: text[:25] + "...",
    "without its beginning": lambda text: "..." + text[-20:],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500, 529])
def test_no_answer_of_any_status_brings_speech_into_a_message(form: str, status: int) -> None:
    said = FORMS[form](SPOKEN)
    for body in (
        {"message": f"cannot process {said}"},
        {"detail": f"value: {said}"},
        {"error": {"input": said}},
        [said],
        said,
    ):
        why = str(EXPLAINER.explain(refuse(body, status), model="m", messages=SAID))
        assert LEFT_OUT in why or not any(word in why.lower() for word in ("pin", "4711", "live"))
        assert "4711" not in why


def test_a_list_of_wrong_fields_tells_places_and_problems_and_no_input() -> None:
    problem = {
        "type": "missing",
        "loc": ["body", "messages", 0, "content"],
        "msg": "Field required",
    }
    body = {"detail": [problem | {"input": {"role": "user", "content": "something else was said"}}]}
    why = str(EXPLAINER.explain(refuse(body), messages=SAID))
    assert "(body.messages.0.content: Field required)" in why
    assert "something else" not in why


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("4711", "unexpected value 4711"),
        ("Geheim", "input: geheim!"),
        ("\u4eca\u65e5\u306f\u6691\u3044\u3067\u3059", "input '\u4eca\u65e5\u306f\u6691\u3044'"),
        ("Turn the light off, please", "got: please turn the light off please"),
    ],
)
def test_what_is_short_or_without_spaces_is_hidden_too(said: str, text: str) -> None:
    assert repeats(text, [{"role": "user", "content": said}])


@pytest.mark.parametrize("said", ["No.", "Yes", "OK", "", "...", "What is the model of this car?"])
def test_a_coincidence_hides_nothing(said: str) -> None:
    words = "there is no such model; the value is not valid, see the list of models"
    assert not repeats(words, [{"role": "user", "content": said}])
    body = {"message": "This model's maximum context length is 4096 tokens."}
    why = str(EXPLAINER.explain(refuse(body, 400), messages=[{"role": "user", "content": said}]))
    assert "maximum context length is 4096" in why


def test_the_meaning_is_found_in_words_that_are_not_quoted() -> None:
    said = [{"role": "user", "content": "maximum context length is 8192 tokens"}]
    full = EXPLAINER.explain(
        refuse({"message": "This model's maximum context length is 8192 tokens"}, 400),
        messages=said,
    )
    assert isinstance(full, ContextTooLong)
    assert (full.window, LEFT_OUT in str(full)) == (8192, True)
    said = [{"role": "user", "content": "conversation roles must alternate"}]
    roles = refuse({"message": "Conversation roles must alternate user/assistant"}, 400)
    assert isinstance(EXPLAINER.explain(roles, messages=said), SystemRoleRefused)


def test_a_system_prompt_is_nothing_that_was_said() -> None:
    assert not repeats("you are a kind assistant", [
        {"role": "system", "content": "You are a kind assistant"}])  # fmt: skip


@pytest.mark.parametrize(
    "body", [None, "", 7, [], {}, {"detail": [1, None, {}]}, {"message": None}]
)
def test_a_body_of_any_shape_is_one_line(body: Any) -> None:
    assert "\n" not in describe_body(body, "other\nwise")


@pytest.mark.parametrize("reason", ["abort", "my pin is 4711", "x" * 500, "a\nb"])
def test_an_unknown_finish_reason_is_named_if_it_is_a_name(reason: str) -> None:
    with pytest.raises(Exception, match="ended the reply with") as ended:
        EXPLAINER.check_end(reason)
    assert (reason in str(ended.value)) is (reason == "abort")
