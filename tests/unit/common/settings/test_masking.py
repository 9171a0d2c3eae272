"""No password in a URL is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings.masking import MASK, mask_password


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://h", "redis://h"),
        ("redis://user@h", "redis://user@h"),
        ("redis://:p@h", f"redis://:{MASK}@h"),
        ("redis://u:p@h:1/2", f"redis://u:{MASK}@h:1/2"),
        ("redis://u:p@ss:w@h", f"redis://u:{MASK}@h"),
        ("redis://:p/w@h", f"redis://:{MASK}@h"),
        ("redis+sentinel://u:p@h1,h2/s", f"redis+sentinel://u:{MASK}@h1,h2/s"),
        ("redis://h?password=p", f"redis://h?password={MASK}"),
        ("a plain text: with @ in it", "a plain text: with @ in it"),
        ("", ""),
    ],
)
def test_the_password_of_a_url_is_masked(url: str, masked: str) -> None:
    assert mask_password(url) == masked


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=1))
def test_no_password_survives_masking(password: str) -> None:
    secret = f"<{password}>"
    assert secret not in mask_password(f"redis://user:{secret}@host:6379/0")
