"""A reply in the making is what its latest attempt has written so far."""

import pytest

from common.events import DeltaData, ReplyDelta
from common.results.reply_so_far import extend_reply


def piece(attempt: int, index: int, text: str) -> ReplyDelta:
    data = DeltaData(attempt=attempt, index=index, text=text)
    return ReplyDelta(
        v=1, session="s", epoch=1, turn=2, id="u", at=index, type="reply.delta", data=data
    )


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([(1, 0, "It is"), (1, 1, " noon.")], "It is noon."),
        ([(1, 0, "It is"), (2, 0, "Noon"), (2, 1, ".")], "Noon."),
        ([(2, 0, "Noon"), (1, 1, " late")], "Noon"),
        ([(1, 0, "It is"), (1, 1, " noon."), (1, 1, " noon."), (1, 0, "It is")], "It is noon."),
        ([(1, 3, "in the middle")], "in the middle"),
    ],
)
def test_pieces_make_the_text_of_the_latest_attempt(
    pieces: list[tuple[int, int, str]], text: str
) -> None:
    so_far = None
    for one in pieces:
        so_far = extend_reply(so_far, piece(*one))
    assert so_far is not None
    assert so_far.data.text == text


def test_an_unfinished_reply_stands_where_its_latest_piece_stood() -> None:
    so_far = extend_reply(piece(1, 0, "a"), piece(1, 4, "b"))
    assert (so_far.data.attempt, so_far.data.index, so_far.at) == (1, 4, 4)
    assert so_far.key == ("s", 1, 2)
