"""The name of a file as a field of a record: with bytes that are no UTF-8, as Linux allows."""

import os
from typing import Annotated, Any

from pydantic import PlainValidator


def _check(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("it must be the name of a file")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:  # JSON can hold other halves
        raise ValueError("it must be the name of a file") from None
    return value


FileName = Annotated[str, PlainValidator(_check)]
"""A field with the name of a file, bytes that are no UTF-8 included."""
