"""Cutting costs no words: the whole path mishears no more of them than the model does uncut."""

from ops.bench.hearing.words import WordErrors, word_errors
from tests.real.recordings import Recording, cut, hear, join
from workers.stt.whisper import Whisper


def test_the_path_mishears_no_more_words_than_the_model_uncut(
    whisper: Whisper, recordings: list[Recording], figures: list[str]
) -> None:
    spoken = [one for one in recordings if one.text]
    assert spoken, "no recording has a NAME.txt"
    uncut, path, lost, other = [], [], [], []
    for one in spoken:
        assert one.text
        whole = whisper.transcribe(one.samples)
        heard = hear(whisper, cut(one.samples, "cascade"))
        uncut.append(word_errors(one.text, whole.text))
        path.append(word_errors(one.text, join(heard)))
        if not join(heard):
            lost.append(one.name)
        other += [one.name for part in heard if part.language != "en"]
    figures.append(
        f"words: {rate(path):.1%} errors of the path (cascade, command),"
        f" {rate(uncut):.1%} of the model uncut, {sum(one.words for one in path)} words in"
        f" {len(spoken)} recordings; nothing heard in {lost}; another language than en in {other}"
    )
    assert rate(path) <= rate(uncut)


def rate(errors: list[WordErrors]) -> float:
    return sum(one.errors for one in errors) / sum(one.words for one in errors)
