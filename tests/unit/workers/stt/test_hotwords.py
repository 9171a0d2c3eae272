"""Words of one's own reach the model: those of the session first, within Whisper's tokens, and not
the bundled model.
"""

from structlog.testing import capture_logs

from workers.stt.hotwords import MOST_TOKENS, Hotwords, join_hotwords, split_hotwords


def count_words(text: str) -> int:
    return len(text.split())


def test_words_become_one_text() -> None:
    assert Hotwords(count_words, "base").fit(("Anja Müller", "kubectl")) == "Anja Müller, kubectl"
    assert Hotwords(count_words, "base").fit(()) is None


def test_what_has_no_room_is_left_out_from_the_end_and_counted_once() -> None:
    hotwords = Hotwords(count_words, "base")
    words = tuple(f"word{number}" for number in range(MOST_TOKENS + 7))
    with capture_logs() as logs:
        fitted = [hotwords.fit(words) for _ in range(3)]
    assert fitted[0] is not None
    assert fitted[0].split(", ") == list(words[:MOST_TOKENS])
    assert fitted[0] == fitted[1] == fitted[2]
    (told,) = logs
    assert (told["event"], told["left_out"], told["used"]) == ("hotwords_cut", 7, MOST_TOKENS)


def test_exactly_as_many_as_have_room_are_kept_silently() -> None:
    words = tuple(f"word{number}" for number in range(MOST_TOKENS))
    with capture_logs() as logs:
        assert Hotwords(count_words, "base").fit(words) == ", ".join(words)
    assert logs == []


def test_one_word_with_too_many_tokens_leaves_nothing() -> None:
    assert Hotwords(lambda text: 1_000 * len(text), "base").fit(("x",)) is None


def test_the_bundled_model_takes_none_and_says_so_once() -> None:
    hotwords = Hotwords(None, "demo")
    with capture_logs() as logs:
        assert [hotwords.fit(("earshot",)), hotwords.fit(("Redis",))] == [None, None]
        assert hotwords.fit(()) is None
    (told,) = logs
    assert (told["event"], told["model"]) == ("hotwords_not_used", "demo")


def test_commas_separate_words_and_blanks_do_not_count() -> None:
    assert split_hotwords(" Anja  Müller, ,kubectl,") == ("Anja Müller", "kubectl")
    assert split_hotwords("") == ()


def test_words_of_several_places_come_once_and_those_of_the_session_first() -> None:
    assert join_hotwords(("b", "a"), ("A", "c"), ("c", "d")) == ("b", "a", "c", "d")
