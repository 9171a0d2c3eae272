"""A reply in the making is what its latest attempt has written so far."""

import pytest

from common.events import DeltaData, ReplyDelta
from common.results.reply_draft import extend_draft


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
    draft = None
    for one in pieces:
        draft = extend_draft(draft, piece(*one))
    assert draft is not None
    assert draft.data.text == text


def test_a_draft_stands_where_its_latest_piece_stood() -> None:
    draft = extend_draft(piece(1, 0, "a"), piece(1, 4, "b"))
    assert (draft.data.attempt, draft.data.index, draft.at) == (1, 4, 4)
    assert draft.key == ("s", 1, 2)
