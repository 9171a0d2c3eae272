"""The bytes of an answer become the same records, wherever they are cut and whatever their form."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.llm.answers.answer_records import Done, Item, Record, RecordReader, Unreadable

A, B = {"a": 1}, {"b": "é\u2028"}
JA, JB = json.dumps(A), json.dumps(B, ensure_ascii=False)


def read(text: str | bytes, *cuts: int) -> list[Item]:
    data = text.encode() if isinstance(text, str) else text
    reader = RecordReader()
    places = [0, *sorted(cuts), len(data)]
    found = [item for begin, end in pairwise(places) for item in reader.feed(data[begin:end])]
    return found + reader.close()


FORMS = {
    "events": f"data: {JA}\n\ndata: {JB}\n\ndata: [DONE]\n\n",
    "line ends of Windows": f"data: {JA}\r\n\r\ndata: {JB}\r\n\r\ndata: [DONE]\r\n\r\n",
    "line ends of old Macs": f"data: {JA}\r\rdata: {JB}\r\rdata: [DONE]\r\r",
    "no blank lines": f"data:{JA}\ndata:{JB}\ndata:[done]",
    "comments and names": f": ping\nevent: x\nid: 1\ndata: {JA}\n\n:\ndata: {JB}\n\ndata:[DONE]",
    "a byte order mark": f"\ufeffdata: {JA}\n\ndata: {JB}\n\ndata: [DONE]\n\n",
    "an event in two lines": f'data: {{"a":\ndata: 1}}\n\ndata: {JB}\n\ndata: [DONE]\n\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_in_any_form(form: str) -> None:
    assert read(FORMS[form]) == [Record(A), Record(B), Done()]


@given(form=st.sampled_from(sorted(FORMS)), cuts=st.lists(st.integers(0, 90), max_size=6))
def test_where_it_is_cut_changes_nothing(form: str, cuts: list[int]) -> None:
    size = len(FORMS[form].encode())
    assert read(FORMS[form], *(cut % size for cut in cuts)) == read(FORMS[form])


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_no_bytes_are_an_error(data: bytes, cuts: list[int]) -> None:
    read(data, *(min(cut, len(data)) for cut in cuts))


def test_json_without_events() -> None:
    assert read(JA) == [Record(A)]
    assert read('{\n  "a":\n\n 1\n}\n') == [Record(A)]
    assert read(f"{JA}\n{JB}\n") == [Record(A), Record(B)]
    assert read(f"[{JA},\n{JB}]") == [Record(A), Record(B)]


def test_lines_and_events_that_are_errors() -> None:
    assert read(f"error: {JA}\n\n") == [Record(A, is_error=True)]
    assert read("error: it broke\n") == [Record("it broke", is_error=True)]
    assert read(f"event: error\ndata: {JA}\n\ndata: {JB}\n\n") == [
        Record(A, is_error=True),
        Record(B),
    ]
    assert read("event: error\ndata: it broke\n\n") == [Record("it broke", is_error=True)]


def test_what_is_no_json() -> None:
    assert read("<html>\n<p>hi</p>\n</html>") == [Unreadable("<html>\n<p>hi</p>\n</html>")]
    assert read('data: {"a": \n\n') == [Unreadable('{"a":')]
    assert read("") == []
    assert read("data: " + "[" * 100_000) == [Unreadable("[" * 100_000)]
