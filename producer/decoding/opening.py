"""Opening a recording: which library reads it, and with which mended header."""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from common.errors import BadInput
from producer.decoding.headers.formats import HEAD, is_for_ffmpeg, states_length
from producer.decoding.headers.joined_files import find_parts
from producer.decoding.headers.pcm_header import examine
from producer.decoding.headers.spliced_file import NamedFile, Part, SplicedFile
from producer.decoding.recording import Block, Damage, Recording, UnknownFormat


class _Source(NamedTuple):
    """What is known of an open file before a library reads it; `missing` as of `PcmFile`."""

    name: str
    head: bytes
    file: io.RawIOBase
    missing: float = 0.0


def open_recording(name: str, descriptor: int) -> Recording:
    """Open the recording in a file or a pipe; `name` is for sentences.

    What comes through a pipe is read by FFmpeg as it comes, and its header is believed. Raises
    `BadInput` if nothing reads it, or if it states what is not accepted.
    """
    file = NamedFile(name, descriptor)
    if not file.seekable():
        return _open_media(_Source(name, b"", file))
    found = find_parts(descriptor)
    if len(found.parts) > 1 or found.is_cut:
        return JoinedRecording(name, descriptor, found.parts, is_cut=found.is_cut)
    head = os.pread(descriptor, HEAD, 0)
    pcm = examine(descriptor)
    if pcm.pieces:
        return _open(_Source(name, head, SplicedFile(name, descriptor, pcm.pieces), pcm.missing))
    return _open(_Source(name, head, file, pcm.missing))


class JoinedRecording:
    """Several recordings in one file, one after the other; `is_cut` if the last lacks its end."""

    def __init__(self, name: str, descriptor: int, parts: Sequence[Part], *, is_cut: bool) -> None:
        self._name = name
        self._descriptor = descriptor
        self._parts = parts
        self._is_cut = is_cut
        self._first: Recording | None = self._open_part(parts[0])
        self.duration_s = self._first.duration_s if len(parts) == 1 else 0.0

    def blocks(self) -> Iterator[Block]:
        """Yield the audio of all parts; what is damaged in one of them ends only that one."""
        damage = Damage(self._name)
        done_s = 0.0
        for part in self._parts:
            try:
                recording = self._first or self._open_part(part)
                self._first = None
                with closing(recording):
                    for block in recording.blocks():
                        done_s += len(block.samples) / block.rate
                        yield block
                        damage.reach(done_s)
            except BadInput as error:
                damage.note_error(error)
        if self._is_cut:
            damage.note("it ends in the middle")
        damage.finish()

    def close(self) -> None:
        if self._first is not None:
            self._first.close()

    def _open_part(self, part: Part) -> Recording:
        head = os.pread(self._descriptor, min(HEAD, part.size), part.start)
        return _open(_Source(self._name, head, SplicedFile(self._name, self._descriptor, [part])))


def _open(source: _Source) -> Recording:
    readers = [_open_sound, _open_media]
    if is_for_ffmpeg(source.head):
        readers.reverse()
    first, second = readers
    try:
        return first(source)
    except UnknownFormat as error:
        try:
            return second(source)
        except UnknownFormat as other:
            # FFmpeg reads more, so its sentence tells more
            raise (error if first is _open_media else other) from None


def _open_sound(source: _Source) -> Recording:
    from producer.decoding.sound_file import SoundFile

    return SoundFile(
        source.name,
        source.file,
        missing=source.missing,
        states_length=states_length(source.head),
    )


def _open_media(source: _Source) -> Recording:
    from producer.decoding.media_file import MediaFile

    return MediaFile(source.name, source.file, states_length=states_length(source.head))
