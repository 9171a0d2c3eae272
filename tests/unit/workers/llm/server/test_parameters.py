"""The fields of a request: one's own win, and one that was refused is not sent again."""

import pytest

from common.errors import Misconfigured
from workers.llm.meanings.errors import ParameterRefused
from workers.llm.server.parameters import Parameters


def refuse(parameters: Parameters, name: str) -> bool:
    return parameters.give_up(ParameterRefused("no", name), parameters.fields(9, 0.5))


def test_what_is_sent() -> None:
    assert Parameters().fields(9, 0.5) == {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "temperature": 0.5,
    }


def test_the_limit_has_two_names_and_can_be_left_out() -> None:
    parameters = Parameters()
    seen = []
    for name in ("max_tokens", "max_completion_tokens"):
        assert refuse(parameters, name)
        seen.append(parameters.fields(9, 0.5))
    assert "max_tokens" not in seen[0]
    assert seen[0]["max_completion_tokens"] == 9
    assert not {"max_tokens", "max_completion_tokens"} & seen[1].keys()


def test_a_refusal_by_the_other_name_of_the_limit_counts() -> None:
    parameters = Parameters()
    assert refuse(parameters, "max_completion_tokens")
    assert parameters.fields(9, 0.5)["max_completion_tokens"] == 9


def test_without_streams_there_are_no_options_of_streams() -> None:
    parameters = Parameters()
    assert refuse(parameters, "stream")
    assert parameters.fields(9, 0.5) == {"stream": False, "max_tokens": 9, "temperature": 0.5}
    assert not refuse(parameters, "stream")


def test_a_refusal_without_a_name_costs_one_field_after_the_other() -> None:
    parameters = Parameters()
    sizes = []
    while refuse(parameters, ""):
        sizes.append(sorted(parameters.fields(9, 0.5)))
    assert sizes[0] == ["max_tokens", "stream", "temperature"]
    assert sizes[-1] == ["stream"]


def test_a_request_that_was_on_its_way_is_sent_again_as_the_others_are_now() -> None:
    parameters = Parameters()
    sent = parameters.fields(9, 0.5)
    assert refuse(parameters, "temperature")
    assert parameters.give_up(ParameterRefused("no", "temperature"), sent)
    assert "stream_options" in parameters.fields(9, 0.5)


def test_fields_of_ones_own() -> None:
    parameters = Parameters(
        '{"temperature": 0.1, "stream_options": null, "max_completion_tokens": 7, "top_k": 3}'
    )
    assert parameters.fields(9, 0.5) == {
        "stream": True,
        "temperature": 0.1,
        "max_completion_tokens": 7,
        "top_k": 3,
    }
    with pytest.raises(Misconfigured, match="top_k is set in EARSHOT_LLM__EXTRA_BODY"):
        refuse(parameters, "top_k")
