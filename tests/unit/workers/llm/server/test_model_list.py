"""A list of models in any shape gives names and windows, or nothing; never an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.llm.server.model_list import ModelList, read_model_list


@pytest.mark.parametrize(
    ("value", "names", "windows"),
    [
        ({"data": [{"id": "a", "max_model_len": 9}]}, ("a",), {"a": 9}),
        ([{"id": "a"}, "b"], ("a", "b"), {}),
        ({"models": [{"name": "a", "context_length": 7}]}, ("a",), {"a": 7}),
        ({"data": [{"id": "a", "context_window": "8192"}]}, ("a",), {"a": 8192}),
        ({"data": [{"id": "a", "max_model_len": None, "context_length": 5}]}, ("a",), {"a": 5}),
        ({"data": []}, (), {}),
        ({"data": [{"id": None}, None, 4, {"id": ""}]}, (), {}),
    ],
)
def test_lists(value: Any, names: tuple[str, ...], windows: dict[str, int]) -> None:
    assert read_model_list(json.dumps(value)) == ModelList(names, windows)


@pytest.mark.parametrize(
    "text", ["", "null", "5", '"a"', "{}", '{"data":null}', "<html>", "[" * 9999]
)
def test_no_lists(text: str) -> None:
    assert read_model_list(text) is None


@given(st.text() | st.recursive(st.none() | st.text(), lambda x: st.lists(x)).map(json.dumps))
def test_no_text_is_a_bug(text: str) -> None:
    read_model_list(text)
