"""A mic host keeps its session over restarts; an utterance's id is its own everywhere."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.keys import SESSION_ID, UTTERANCE_ID
from common.utterance import Utterance
from producer.shipping.identity import clean_source_name, default_session, new_utterance_id


def test_utterance_ids_are_usable_and_never_the_same() -> None:
    made = [new_utterance_id() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert all(UTTERANCE_ID.match(utterance) for utterance in made)


def test_a_session_is_host_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "kitchen.local")
    assert default_session("") == "kitchen.local-default"
    assert default_session("USB Audio: hw:1,0") == "kitchen.local-USB-Audio-hw-1-0"
    assert default_session("usb") == default_session("usb")
    assert default_session("usb") != default_session("builtin")


@given(st.text(max_size=100), st.text(max_size=100))
def test_whatever_host_and_device_are_called_the_session_is_usable(host: str, device: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: host)
        assert SESSION_ID.match(default_session(device))


@given(st.text(st.characters(), max_size=300))
def test_whatever_a_source_is_called_an_utterance_carries_it(name: str) -> None:
    utterance = Utterance(id="u", session="s", source=clean_source_name(name))
    assert utterance.model_dump_json()


def test_an_ordinary_name_is_shown_as_it_is() -> None:
    assert clean_source_name("Küche, 2. Aufnahme.wav") == "Küche, 2. Aufnahme.wav"
    assert clean_source_name("a\nb\x1b[2J\udcff") == "a?b?[2J?"
