"""What a decoder writes: all of the audio whatever its form, an end to what never ends, and the
audio before a damage."""

import os
import struct
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from common.errors import BadInput
from producer.decoding import decoder, media_file
from producer.decoding.decoder import decode
from producer.decoding.messages import AUDIO, DURATION, FLOAT, HEADER, MessageWriter
from tests.support.media_files import SECONDS, strongest_frequency, write_media


class Decoded:
    """What was written, and the error after it."""

    def __init__(self, path: Path, name: str = "a file") -> None:
        read_end, write_end = os.pipe()
        written: list[bytes] = []
        with os.fdopen(read_end, "rb") as pipe, path.open("rb") as file:
            reading = threading.Thread(target=lambda: written.append(pipe.read()))
            reading.start()
            self.error = ""
            self.reports: list[float] = []
            try:
                decode(name, file.fileno(), MessageWriter(write_end), report=self.reports.append)
            except BadInput as error:
                self.error = str(error)
            finally:
                os.close(write_end)
                reading.join()
        self.duration_s = -1.0
        pieces = [b""]
        data, at = written[0], 0
        while at < len(data):
            kind, length = HEADER.unpack_from(data, at)
            payload = data[at + HEADER.size : at + HEADER.size + length]
            at += HEADER.size + length
            if kind == DURATION:
                assert pieces == [b""], "it comes first"
                (self.duration_s,) = FLOAT.unpack(payload)
            else:
                assert kind == AUDIO
                pieces.append(payload)
        self.audio: NDArray[np.int16] = np.frombuffer(b"".join(pieces), np.int16)
        assert self.reports == sorted(self.reports)
        assert self.reports[-1:] in ([], [len(self.audio) / 16_000])


def test_a_rate_that_changes_within_the_file_keeps_the_tone(tmp_path: Path) -> None:
    whole = b""
    for rate in (48_000, 24_000, 44_100):
        write_media(tmp_path / "part.aac", "aac", "stereo", rate, container="adts")
        whole += (tmp_path / "part.aac").read_bytes()
    (tmp_path / "whole.aac").write_bytes(whole)
    heard = Decoded(tmp_path / "whole.aac")
    assert heard.error == ""
    assert len(heard.audio) == pytest.approx(3 * SECONDS * 16_000, abs=8_000)
    for place in range(3):
        middle = round((place + 0.5) * SECONDS * 16_000)
        part = heard.audio[middle - 8_000 : middle + 8_000]
        assert strongest_frequency(part) == pytest.approx(440, abs=2)


def test_channels_that_change_within_the_file_are_averaged(tmp_path: Path) -> None:
    whole = b""
    for layout in ("mono", "stereo", "7.1"):
        write_media(tmp_path / "part.aac", "aac", layout, container="adts")
        whole += (tmp_path / "part.aac").read_bytes()
    (tmp_path / "whole.aac").write_bytes(whole)
    heard = Decoded(tmp_path / "whole.aac")
    assert heard.error == ""
    assert len(heard.audio) == pytest.approx(3 * SECONDS * 16_000, abs=8_000)


def test_what_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "LONGEST_RECORDING_S", 3_600.0)
    soundfile.write(tmp_path / "packed.flac", np.zeros(2 * 3_600 * 4_000, np.int16), 4_000)
    assert (tmp_path / "packed.flac").stat().st_size < 200_000
    heard = Decoded(tmp_path / "packed.flac")
    assert "a file is longer than 1 hours; what came before was used" in heard.error
    assert 0 <= len(heard.audio) - 3_600 * 16_000 <= 2 * 16_000


def test_a_gap_that_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "LONGEST_RECORDING_S", 60.0)
    path = tmp_path / "gap.mkv"
    write_media(path, "pcm_s16le", rate=16_000, options={"live": "1", "cluster_time_limit": "500"})
    data = bytearray(path.read_bytes())
    # the time (ms) of the last cluster: an element E7 with its size, in the first bytes after it
    at = data.rindex(b"\x1f\x43\xb6\x75")
    at = data.index(b"\xe7\x82", at)
    data[at + 2 : at + 4] = b"\xff\xff"  # 65 s
    path.write_bytes(data)
    heard = Decoded(path)
    assert "longer than 0 hours" in heard.error
    assert len(heard.audio) <= 62 * 16_000


def test_tags_in_another_alphabet_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "tagged.mkv"
    write_media(path, "pcm_s16le", "stereo", rate=16_000, title="gr\u00fcn")
    utf8 = path.read_bytes()
    assert "gr\u00fcn".encode() in utf8
    path.write_bytes(utf8.replace("gr\u00fcn".encode(), b"gr\xfcn!"))
    heard = Decoded(path)
    assert heard.error == ""
    assert len(heard.audio) == pytest.approx(SECONDS * 16_000, abs=2_000)


def test_the_audio_before_a_damage_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    noise = np.random.default_rng(0).normal(0, 3_000, 160_000).astype(np.int16)
    soundfile.write(path, noise, 16_000)
    path.write_bytes(path.read_bytes()[:100_000])
    heard = Decoded(path)
    assert "a file is damaged after" in heard.error
    assert heard.duration_s == 10
    said = float(heard.error.partition("after ")[2].partition(" s")[0])
    assert len(heard.audio) / 16_000 == pytest.approx(said, abs=0.05)
    assert np.array_equal(heard.audio, noise[: len(heard.audio)])


def test_nothing_is_promised_of_a_file_whose_first_second_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "damaged.flac"
    soundfile.write(path, np.ones(16_000, np.int16), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[:60] + bytes(len(data) - 60))
    heard = Decoded(path)
    assert heard.duration_s == -1, "so that opening it fails"
    assert "a file is damaged, and nothing of it can be used" in heard.error


def test_memory_that_is_not_enough_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_media(tmp_path / "a.m4a", "aac")

    def fail(*_: object, **__: object) -> None:
        raise av.error.MemoryError(12, "Cannot allocate memory")

    monkeypatch.setattr(media_file.MediaFile, "_blocks_of", fail)
    with pytest.raises(MemoryError):
        Decoded(tmp_path / "a.m4a")


def test_a_wav_that_ends_before_its_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "stream.wav"
    soundfile.write(path, np.ones(16_000, np.int16), 16_000)
    data = path.read_bytes()
    # as of a recorder that writes to a pipe and cannot go back
    path.write_bytes(data[:40] + struct.pack("<I", 2**32 - 1) + data[44:])
    heard = Decoded(path)
    assert (heard.error, len(heard.audio)) == ("", 16_000)
