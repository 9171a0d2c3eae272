"""The process that decodes one recording: `python -m producer.decoding.decoder NAME < FILE`.

It opens no file by name: its standard input is the recording, and NAME is for sentences. Its
standard output holds the messages of `producer/decoding/messages.py`.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from common.audio import LONGEST_RECORDING_S, SAMPLE_RATE
from common.errors import BadInput
from common.extras import how_to_install
from producer.decoding.limits import MEMORY_MB, CpuLimit, limit_process, take_standard_output
from producer.decoding.messages import MessageWriter
from producer.decoding.recording import BLOCK_S, Block, Recording

_STANDARD_INPUT: Final = 0


def main() -> NoReturn:
    """Decode the recording; whatever happens is said in a message, and ends this process."""
    limit_process()
    writer = MessageWriter(take_standard_output())
    name = sys.argv[1]
    try:
        decode(name, _STANDARD_INPUT, writer, report=CpuLimit().allow)
        writer.write_end()
    except BadInput as error:
        writer.write_refusal(str(error))
    except MemoryError:
        writer.write_refusal(
            f"{name} cannot be decoded: it needs more than {MEMORY_MB} MB of memory"
        )
    except ModuleNotFoundError as error:
        writer.write_refusal(how_to_install(error) or f"{name} cannot be decoded ({error})")
    except Exception as error:  # the libraries meet what nobody has foreseen
        writer.write_refusal(f"{name} cannot be decoded ({type(error).__name__}: {error})")
        traceback.print_exc()
    os._exit(0)


def decode(
    name: str, descriptor: int, writer: MessageWriter, *, report: Callable[[float], None]
) -> None:
    """Write an open file's audio as 16 kHz mono. Raises `BadInput` where there is no more to read.

    `report` is called again and again with the seconds of audio that were written so far.
    The duration is written with the first audio: so a file that cannot be decoded at all is refused
    before anybody believes that it was opened.
    """
    from producer.decoding.opening import open_recording

    with closing(open_recording(name, descriptor)) as recording:
        for samples in _convert(recording):
            if not writer.samples:
                writer.write_duration(recording.duration_s)
            writer.write_audio(samples)
            report(writer.audio_s)
            if writer.audio_s > LONGEST_RECORDING_S:
                raise BadInput(
                    f"{name} is longer than {LONGEST_RECORDING_S / 3600:.0f} hours; what came"
                    " before was used, so send the rest as another file"
                )
        if not writer.samples:
            raise BadInput(f"{name} has a header, but holds no audio; record it again")


def _convert(recording: Recording) -> Iterator[NDArray[np.int16]]:
    """Yield pieces of at least one sample, 16 kHz mono."""
    from producer.decoding.resample import Resampler

    resampler = Resampler(SAMPLE_RATE)
    rate = SAMPLE_RATE
    for block in _join(recording.blocks()):
        if block.rate != rate:
            yield from _some(resampler.finish())
            resampler, rate = Resampler(block.rate), block.rate
        yield from _some(resampler.push(block.samples))
    yield from _some(resampler.finish())


def _join(blocks: Iterator[Block]) -> Iterator[Block]:
    """Join the blocks of BLOCK_S: codecs have frames of 20 ms, and each call costs as much."""
    held: list[Block] = []
    count = 0
    try:
        for block in blocks:
            if held and (count >= held[0].rate * BLOCK_S or not _is_alike(held[0], block)):
                yield _concatenate(held)
                held, count = [], 0
            held.append(block)
            count += len(block.samples)
    except BadInput:
        if held:
            yield _concatenate(held)
        raise
    if held:
        yield _concatenate(held)


def _is_alike(first: Block, second: Block) -> bool:
    return first.rate == second.rate and first.samples.shape[1] == second.samples.shape[1]


def _concatenate(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return Block(blocks[0].rate, np.concatenate([block.samples for block in blocks]))


def _some(samples: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    if len(samples):
        yield samples


if __name__ == "__main__":
    main()
