"""A reader that falls behind costs the oldest audio, counted and said once; a device that refuses
16 kHz mono is recorded as it likes."""

from structlog.testing import capture_logs

from producer.microphone.capture import Block, Capture, Format, Overflows, _accepted_format
from producer.microphone.devices import InputDevice
from producer.sources.mute import Mute

FORMAT = Format(16_000, 1)
QUEUED = 1_000  # 30 s in blocks of 30 ms


def block(number: int) -> Block:
    return Block(number.to_bytes(2, "little"), FORMAT)


def test_blocks_are_taken_in_their_order() -> None:
    capture = Capture(None)
    for number in range(3):
        capture._receive(block(number), False)
    assert [capture.take(0) for _ in range(4)] == [block(0), block(1), block(2), None]
    assert capture.overflows == Overflows(0, 0)


def test_a_full_queue_drops_the_oldest_and_counts_them() -> None:
    capture = Capture(None)
    for number in range(QUEUED + 5):
        capture._receive(block(number), False)
    assert capture.overflows == Overflows(device=0, queue=5)
    assert capture.take(0) == block(5)


def test_what_was_recorded_before_the_end_can_still_be_taken() -> None:
    capture = Capture(None)
    capture._receive(block(1), False)
    capture.stop()
    assert capture.take(60) == block(1)
    assert capture.take(60) is None


def test_what_is_recorded_while_muted_is_silence_even_if_it_is_delivered_or_taken_later() -> None:
    now = [100.0]
    mute = Mute(clock=lambda: now[0])
    capture = Capture(None, mute, clock=lambda: now[0])
    for number in (1, 2, 3, 4):
        capture._receive(block(number), False)
        if number < 3:
            mute.toggle()
        now[0] += 0.02 if number == 2 else 0.03  # the third began before the mute was off
    muted = Block(b"\0\0", FORMAT, muted=((0, 1),))
    assert [capture.take(0) for _ in range(4)] == [block(1), muted, muted, block(4)]


def test_losses_are_said_once_per_change_of_state() -> None:
    now = [0.0]
    capture = Capture(None, clock=lambda: now[0])
    with capture_logs() as logs:
        capture._watch_losses()
        for _ in range(3):
            capture._receive(block(0), True)
            now[0] += 1
            capture._watch_losses()
        assert [line["event"] for line in logs] == ["losing_audio"]
        now[0] += 9
        capture._watch_losses()
        assert len(logs) == 1
        now[0] += 2
        capture._watch_losses()
        capture._watch_losses()
    assert [line["event"] for line in logs] == ["losing_audio", "no_longer_losing_audio"]
    assert (logs[1]["device"], logs[1]["queue"]) == (3, 0)


class Device:
    """Stands for PyAudio's answer to which formats a device takes."""

    def __init__(self, *accepted: tuple[int, int]) -> None:
        self._accepted = accepted

    def is_format_supported(
        self, rate: int, *, input_device: int, input_channels: int, input_format: int
    ) -> bool:
        if (rate, input_channels) not in self._accepted:
            raise ValueError("Invalid sample rate", -9997)
        return True


def test_16_khz_mono_is_taken_where_it_is_accepted_and_otherwise_what_the_device_likes() -> None:
    microphone = InputDevice(0, "array", "ALSA", 4, 48_000, True)
    accepted = [
        _accepted_format(Device((48_000, 2), (16_000, 1)), microphone),
        _accepted_format(Device((48_000, 1), (48_000, 2)), microphone),
        _accepted_format(Device((48_000, 2)), microphone),
        _accepted_format(Device((48_000, 4)), microphone),
    ]
    assert [(each.rate, each.channels) for each in accepted] == [
        (16_000, 1),
        (48_000, 1),
        (48_000, 2),
        (48_000, 4),
    ]
