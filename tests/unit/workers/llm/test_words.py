"""The length of what was said counts, also in languages without blanks between words."""

import pytest

from workers.llm.words import count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("turn on the light", 4),
        ("Donaudampfschifffahrt beginnt", 2),
        ("안녕하세요 오늘 날씨", 3),
        ("好", 1),
        ("请打开厨房里的灯然后告诉我今天的天气", 9),
        ("日本語とEnglishの文章です", 5),
        ("กรุณาเปิดไฟในห้องครัว", 10),
        ("привет как дела", 3),
    ],
)
def test_words(text: str, words: int) -> None:
    assert count_words(text) == words


def test_a_longer_question_without_blanks_counts_more() -> None:
    assert count_words("今天天气怎么样" * 20) > 10 * count_words("今天天气怎么样")
