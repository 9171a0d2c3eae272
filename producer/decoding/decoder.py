"""The process that decodes one recording: `python -m producer.decoding.decoder NAME [CHANNEL]`.

It opens no file by name: its standard input is the recording, and NAME is for sentences. CHANNEL
counts from 1; without it, all of them are mixed. Its standard output holds the messages of
`producer/decoding/messages.py`.
"""

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from typing import Final, NoReturn

from common.audio import LONGEST_RECORDING_S
from common.errors import BadInput
from common.extras import how_to_install
from producer.decoding.limits import MEMORY_MB, CpuLimit, limit_process, take_standard_output
from producer.decoding.messages import MessageWriter

_STANDARD_INPUT: Final = 0


def main() -> NoReturn:
    """Decode the recording; whatever happens is said in a message, and ends this process."""
    limit_process()
    writer = MessageWriter(take_standard_output())
    name = sys.argv[1]
    channel = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    try:
        decode(name, _STANDARD_INPUT, writer, report=CpuLimit().allow, channel=channel)
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
    name: str,
    descriptor: int,
    writer: MessageWriter,
    *,
    report: Callable[[float], None],
    channel: int = 0,
) -> None:
    """Write an open file's audio as 16 kHz mono. Raises `BadInput` where there is no more to read.

    `report` is called again and again with the seconds of audio that were written so far. `channel`
    counts from 1; 0 mixes all of them. The duration is written with the first audio: so a file that
    cannot be decoded at all is refused before anybody believes that it was opened.
    """
    from producer.decoding.conversion import Conversion
    from producer.decoding.opening import open_recording

    with closing(open_recording(name, descriptor)) as recording:
        conversion = Conversion(name, channel)
        for samples in conversion.convert(recording):
            if not writer.samples:
                if channel:
                    writer.write_channels(conversion.channels)
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


if __name__ == "__main__":
    main()
