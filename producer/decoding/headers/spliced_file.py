"""A file that is put together of bytes and of parts of an open file; the libraries read it."""

import io
import os
from collections.abc import Sequence
from typing import Any, NamedTuple


class Part(NamedTuple):
    """So many bytes of the open file, from `start` on."""

    start: int
    size: int


class NamedFile(io.FileIO):
    """An open file with a name: FFmpeg guesses some formats by the ending of the name."""

    name: str

    def __init__(self, name: str, descriptor: int) -> None:
        super().__init__(descriptor, closefd=False)
        self.name = name


class SplicedFile(io.RawIOBase):
    """The pieces, one after the other, as one file that can be read and sought.

    The open file must be seekable. It stays open, and its own position is neither used nor changed.
    """

    def __init__(self, name: str, descriptor: int, pieces: Sequence[bytes | Part]) -> None:
        self.name = name
        self._descriptor = descriptor
        self._pieces = [piece for piece in pieces if _size(piece)]
        self._size = sum(map(_size, self._pieces))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        data = self._read(len(target))
        target[: len(data)] = data
        return len(data)

    def _read(self, most: int) -> bytes:
        begin = 0
        for piece in self._pieces:
            inside = self._at - begin
            if inside < _size(piece):
                size = min(most, _size(piece) - inside)
                if isinstance(piece, Part):
                    data = os.pread(self._descriptor, size, piece.start + inside)
                else:
                    data = piece[inside : inside + size]
                self._at += len(data)
                return data
            begin += _size(piece)
        return b""


def _size(piece: bytes | Part) -> int:
    return piece.size if isinstance(piece, Part) else len(piece)
