"""Text that nobody said is dropped, and no real "thank you": only a stock phrase with weak
evidence goes."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from common.settings import SttSettings
from workers.stt.engine import Hints
from workers.stt.judgement import Judgement, judge
from workers.stt.noise import WEAK, WEAK_CREDIT, WEAK_REPEATED, Evidence, is_invented
from workers.stt.repetition import cut_loops, is_loop
from workers.stt.stock_phrases import StockPhrase, find_stock_phrase

SURE = {"no_speech": 0.1, "logprob": -0.5}
WEAK_SCORES = {"no_speech": 0.55, "logprob": -1.3}
"""Not weak enough for Whisper's own rule."""


def segment(
    text: str, start: float = 0, end: float = 1, *, no_speech: float, logprob: float
) -> Any:
    return SimpleNamespace(
        text=text, start=start, end=end, no_speech_prob=no_speech, avg_logprob=logprob
    )


def heard(*segments: Any, audio_s: float = 2.0, voice: bool = True, **hints: Any) -> Judgement:
    return judge(segments, Hints(**hints), SttSettings(), audio_s, lambda: voice)


def words(judgement: Judgement) -> str:
    return " ".join(line.text for line in judgement.speech)


STOCK = [
    "Thank you for watching!",
    "Thanks for watching",
    "You",
    "Thank you. Thank you. Bye.",
    "I\u2019ll see you in the next video.",
    "Vielen Dank.",
    "Merci d'avoir regardé cette vidéo !",
    "Sous-titrage Société Radio-Canada",
    "Subtítulos realizados por la comunidad de Amara.org",
    "Untertitel im Auftrag des ZDF für funk, 2017",
    "Субтитры сделал DimaTorzok",
    "Продолжение следует...",
    "ご視聴ありがとうございました。",
    "字幕由Amara.org社区提供",
    "시청해주셔서 감사합니다.",
    "Napisy stworzone przez społeczność Amara.org",
    "Altyazı M.K.",
    "Obrigado por assistir!",
]


@pytest.mark.parametrize("text", STOCK)
def test_a_stock_phrase_with_weak_scores_is_invented(text: str) -> None:
    judged = heard(segment(text, **WEAK_SCORES))
    assert judged.speech == []
    assert judged.invented == text


@pytest.mark.parametrize("text", STOCK)
def test_the_same_words_are_kept_where_the_scores_are_good(text: str) -> None:
    assert words(heard(segment(text, **SURE), voiced_s=1.2, audio_s=2)) == text


@pytest.mark.parametrize(
    "text",
    [
        "Turn on the subtitles.",
        "Untertitel einschalten",
        "Thank you for turning off the light.",
        "Translation of the word bird?",
        "Traduction du mot oiseau",
        "Перевод денег на карту",
        "翻訳してください",
        "Stop.",
        "Yes.",
        "No.",
        "Ja.",
        "Nein.",
    ],
)
def test_what_is_no_stock_phrase_is_kept_with_weak_scores(text: str) -> None:
    assert words(heard(segment(text, **WEAK_SCORES))) == text


def test_a_phrase_that_takes_longer_than_the_voice_lasted_is_invented() -> None:
    text = "Thank you so much for watching."
    assert words(heard(segment(text, **SURE), voiced_s=1.0)) == text
    assert heard(segment(text, **SURE), voiced_s=0.3).invented == text
    assert words(heard(segment(text, **SURE), voiced_s=0)) == text, "the producer did not say"


def test_a_phrase_behind_the_end_of_the_sound_is_invented_and_the_rest_is_kept() -> None:
    judged = heard(
        segment("Put the light on.", 0, 1.8, **SURE), segment("Thank you.", 4, 6, **SURE)
    )
    assert (words(judged), judged.invented) == ("Put the light on.", "Thank you.")


def test_thanks_at_the_end_of_what_was_said_are_kept() -> None:
    judged = heard(
        segment("Put the light on.", 0, 1.5, **SURE), segment("Thank you.", 1.5, 2.2, **SURE)
    )
    assert words(judged) == "Put the light on. Thank you."


def test_the_same_phrase_in_two_turns_needs_more_evidence() -> None:
    between = {"no_speech": 0.0, "logprob": (WEAK + WEAK_REPEATED) / 2}
    assert words(heard(segment("Thank you.", **between))) == "Thank you."
    again = heard(segment("Thank you!", **between), phrase="thank you")
    assert (again.speech, again.phrase) == ([], "thank you")
    assert words(heard(segment("Thank you.", **between), phrase="bye")) == "Thank you."
    assert words(heard(segment("Thank you.", **SURE), phrase="thank you")) == "Thank you."


def test_a_turn_is_remembered_as_a_phrase_only_if_it_is_nothing_else() -> None:
    assert heard(segment("Thank you.", **SURE)).phrase == "thank you"
    assert heard(segment("Thank you.", **SURE), segment("Left, please.", **SURE)).phrase == ""


def test_whispers_own_rule_holds_for_all_other_text() -> None:
    assert heard(segment("Left, please.", no_speech=0.7, logprob=-1.1)) == Judgement([], "", "")


def test_a_loop_is_written_once_and_counted() -> None:
    before = REGISTRY.get_sample_value("earshot_stt_invented_total", {"kind": "loop"}) or 0
    text = "Put the light on " + "and then we go " * 50
    assert words(heard(segment(text, **SURE), audio_s=4)) == "Put the light on and then we go"
    after = REGISTRY.get_sample_value("earshot_stt_invented_total", {"kind": "loop"})
    assert after == before + 1


def test_a_loop_over_many_segments_is_written_once() -> None:
    lines = [segment("I don't know.", place, place + 1, **SURE) for place in range(28)]
    assert words(heard(*lines, audio_s=5)) == "I don't know."


def test_nothing_but_a_loop_with_weak_scores_is_invented() -> None:
    text = "いま" * 100
    weak = heard(segment(text, no_speech=0.5, logprob=-0.9), audio_s=3)
    assert (weak.speech, weak.invented) == ([], text)
    assert words(heard(segment(text, no_speech=0.0, logprob=-0.2), audio_s=3)) == "いま"


@pytest.mark.parametrize("text", ["no no no no no no", "Ja, ja, ja, ja, ja.", "1000000000"])
def test_what_a_person_can_repeat_stays(text: str) -> None:
    assert words(heard(segment(text, **SURE), audio_s=3)) == text


def test_loops_of_one_word_and_of_sentences_are_found() -> None:
    assert is_loop("you you you you")
    assert is_loop("I'm sorry, I'm sorry, I'm sorry, I'm sorry.")
    assert not is_loop("you you you know")
    assert cut_loops("Go home now now now now now please") == "Go home now please"


def test_credits_need_less_evidence_than_courtesies() -> None:
    scores = Evidence(no_speech_prob=0.3, avg_logprob=-0.6)
    assert WEAK < scores.confidence < WEAK_CREDIT
    credit = StockPhrase("subtitles by the amara org community", "credit")
    assert is_invented(credit, scores, lambda: True)
    assert not is_invented(StockPhrase("thank you", "courtesy"), scores, lambda: True)


def test_confidence_is_the_chance_of_speech_times_that_of_the_text() -> None:
    assert Evidence(0.5, -1.0).confidence == pytest.approx(-1 - math.log(2))
    assert Evidence(1.0, -1.0).confidence < -20


def test_a_long_sentence_about_subtitles_is_no_credit() -> None:
    text = "subtitles by " + "the way are something that I never read " * 2
    assert find_stock_phrase(text) is None


def test_many_phrases_in_a_row_are_judged_quickly() -> None:
    assert find_stock_phrase("bye " * 300 + "x") is None
    assert find_stock_phrase("bye " * 300) is not None


def test_any_text_with_weak_scores_is_noise_where_there_is_no_voice() -> None:
    text = "I don't know what I'm going to do."
    assert words(heard(segment(text, **WEAK_SCORES), voice=True)) == text
    assert heard(segment(text, **WEAK_SCORES), voice=False) == Judgement([], "", "")
    assert words(heard(segment(text, **SURE), voice=False)) == text


def test_a_word_that_was_misheard_as_a_stock_phrase_is_kept_where_there_is_a_voice() -> None:
    # "two", as a person said it and Whisper base heard it
    scores = {"no_speech": 0.602, "logprob": -0.841}
    assert words(heard(segment("You", **scores), voice=True)) == "You"
    assert heard(segment("You", **scores), voice=False).invented == "You"


def test_the_voice_is_looked_for_once_and_only_where_it_matters() -> None:
    asked: list[bool] = []

    def look() -> bool:
        asked.append(True)
        return True

    judge([segment("Left.", **SURE)], Hints(), SttSettings(), 2.0, look)
    assert asked == []
    judge([segment("Left.", **WEAK_SCORES)] * 3, Hints(), SttSettings(), 2.0, look)
    assert asked == [True]
