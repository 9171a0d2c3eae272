"""Small sound files of every format that the libraries can write: where the fuzzer begins."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import av
import numpy as np
import soundfile

from tests.support.media_files import write_media

RATE: Final = 16_000

MEDIA: Final = [
    ("aac.m4a", "aac", "stereo", None),
    ("surround.m4a", "aac", "7.1", None),
    ("alac.m4a", "alac", "stereo", None),
    ("aac.mp4", "aac", "mono", None),
    ("aac.3gp", "aac", "mono", None),
    ("aac.aac", "aac", "stereo", "adts"),
    ("aac.ts", "aac", "stereo", "mpegts"),
    ("aac.flv", "aac", "stereo", None),
    ("pcm.mov", "pcm_s16le", "stereo", None),
    ("eight.mov", "pcm_s16be", "7.1", None),
    ("sixteen.mov", "pcm_s24le", "hexadecagonal", None),
    ("float.mkv", "pcm_f32le", "mono", None),
    ("flac.mkv", "flac", "5.1", None),
    ("opus.webm", "libopus", "stereo", None),
    ("vorbis.webm", "vorbis", "stereo", None),
    ("opus.ogg", "libopus", "mono", None),
    ("flac.ogg", "flac", "mono", "ogg"),
    ("ac3.ac3", "ac3", "5.1", None),
    ("eac3.eac3", "eac3", "stereo", None),
    ("mp2.mp2", "mp2", "stereo", None),
    ("mp3.avi", "libmp3lame", "stereo", "avi"),
    ("pcm.avi", "pcm_s16le", "stereo", "avi"),
    ("wma.wma", "wmav2", "stereo", "asf"),
    ("wma.asf", "wmav1", "mono", "asf"),
    ("wavpack.wv", "wavpack", "stereo", None),
    ("tta.tta", "tta", "stereo", None),
    ("g722.wav", "g722", "mono", "wav"),
    ("adpcm.wav", "adpcm_ima_wav", "stereo", "wav"),
    ("aptx.aptx", "aptx", "stereo", None),
    ("sbc.sbc", "sbc", "mono", None),
    ("ra.rm", "real_144", "mono", "rm"),
    ("amr.amr", "libopencore_amrnb", "mono", None),
    ("caf.caf", "pcm_s16be", "stereo", "caf"),
    ("wave64.w64", "pcm_s16le", "mono", "w64"),
    ("nut.nut", "pcm_s16le", "mono", "nut"),
    ("vob.vob", "mp2", "stereo", "vob"),
    ("mxf.mxf", "pcm_s16le", "mono", "mxf_opatom"),
]
"""Name, FFmpeg's encoder, its channels, and its container where the name does not tell."""

RATES: Final = {"libopencore_amrnb": 8_000, "real_144": 8_000, "mxf_opatom": 48_000}

VIDEO: Final = "film.mp4"


def write_seeds(folder: Path) -> list[Path]:
    """Write one file for each format; what this build of a library cannot write is left out."""
    for kind in sorted(soundfile.available_formats()):
        for subtype in sorted(soundfile.available_subtypes(kind)):
            if kind in {"RAW", "SD2"}:  # no header; a second file
                continue
            with suppress(soundfile.LibsndfileError, ValueError):
                _write_sound(folder / f"{subtype}.{kind}".lower(), kind, subtype)
    for name, codec, layout, container in MEDIA:
        rate = RATES.get(codec) or RATES.get(container or "") or RATE
        for attempt in (rate, 44_100):
            with suppress(av.error.FFmpegError, ValueError):
                write_media(folder / name, codec, layout, attempt, seconds=0.4, container=container)
                break
    _write_film(folder / VIDEO)
    return sorted(path for path in folder.iterdir() if path.stat().st_size)


def _write_sound(path: Path, kind: str, subtype: str) -> None:
    rate = 8_000 if subtype in {"GSM610", "G721_32", "G723_24", "G723_40", "NMS_ADPCM_16"} else RATE
    for channels in (2, 1):
        tone = 0.4 * np.sin(np.arange(rate * 2 // 5) / 9)
        try:
            soundfile.write(
                path, np.stack([tone] * channels, 1), rate, format=kind, subtype=subtype
            )
        except soundfile.LibsndfileError:
            continue
        return


def _write_film(path: Path) -> None:
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height = 32, 32
        sound = output.add_stream("aac", rate=RATE, layout="mono")
        for frame in _pictures():
            output.mux(pictures.encode(frame))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 6_144), np.float32), "fltp", "mono")
        tone.sample_rate = RATE
        sizes = av.AudioResampler("fltp", "mono", RATE, frame_size=1_024)
        for part in sizes.resample(tone):
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))
        output.mux(pictures.encode(None))


def _pictures() -> Iterator[av.VideoFrame]:
    for shade in range(4):
        yield av.VideoFrame.from_ndarray(np.full((32, 32, 3), 60 * shade, np.uint8), "rgb24")
