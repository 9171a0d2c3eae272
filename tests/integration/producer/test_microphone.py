"""What is played into a microphone is heard through PortAudio, cut where it was cut, and goes on
being heard after the sound server died; nothing is printed but what earshot says itself."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs
from structlog.typing import EventDict

from common.audio import SAMPLE_RATE
from common.errors import NoMicrophone
from producer.microphone import capture, devices
from producer.microphone.capture import Format
from producer.microphone.devices import list_devices
from producer.microphone.microphone import Microphone
from producer.speech.detector import WebRtcDetector
from producer.speech.endpointing import PRESETS
from producer.speech.segmenter import Segmenter, SpeechSegment
from tests.support.speechlike import speechlike
from tests.support.virtual_microphone import VirtualMicrophone
from tests.support.waiting import until_sync

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[VirtualMicrophone]:
    with VirtualMicrophone() as server:
        yield server


@pytest.fixture
def sound(server: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch) -> VirtualMicrophone:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return server


class Ear:
    """Cuts what a microphone hears, in a thread."""

    def __init__(self, microphone: Microphone, preset: str = "conversation") -> None:
        self.microphone = microphone
        self.frames: list[NDArray[np.int16]] = []
        self.segments: list[SpeechSegment] = []
        self._detector = WebRtcDetector(2, 30)
        self._segmenter = Segmenter(PRESETS[preset], microphone.frame_samples)
        self._thread = threading.Thread(target=self._hear, daemon=True)

    def __enter__(self) -> "Ear":
        self._thread.start()
        self.wait(lambda: len(self.frames) > 10)
        return self

    def __exit__(self, *_: object) -> None:
        self.microphone.close()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{len(self.segments)} utterances by now"
            time.sleep(0.05)

    def _hear(self) -> None:
        for frame in self.microphone:
            self.frames.append(frame)
            is_speech = self._detector.is_speech(frame)
            events = self._segmenter.push(frame, is_speech, self._detector.is_sure)
            self.segments += [event for event in events if isinstance(event, SpeechSegment)]


def talk(*lengths_s: float) -> NDArray[np.int16]:
    """Speech of these lengths, each followed by 1.6 s of silence."""
    silence = np.zeros(round(1.6 * SAMPLE_RATE), np.int16)
    pieces = [(speechlike(length, seed=seed), silence) for seed, length in enumerate(lengths_s)]
    return np.concatenate([piece for pair in pieces for piece in pair])


def speech_s(segments: list[SpeechSegment]) -> list[float]:
    return [segment.speech_samples / SAMPLE_RATE for segment in segments]


def test_the_devices_are_listed(sound: VirtualMicrophone) -> None:
    devices = list_devices()
    assert [device.name for device in devices] == ["pulse", "default"]
    assert [device.is_default for device in devices].count(True) == 1
    assert all(device.host_api == "ALSA" and device.channels > 0 for device in devices)


@pytest.mark.parametrize(
    ("wanted", "name"), [(None, "default"), ("", "default"), (0, "pulse"), ("PUL", "pulse")]
)
def test_the_device_is_chosen(
    sound: VirtualMicrophone, wanted: int | str | None, name: str
) -> None:
    with Microphone(wanted) as microphone:
        assert microphone.name == name
        assert next(iter(microphone)).shape == (microphone.frame_samples,)


def test_what_is_played_is_heard_and_cut(sound: VirtualMicrophone) -> None:
    with Microphone("pulse") as microphone, Ear(microphone) as ear:
        sound.play_samples(talk(0.9, 2.0, 1.4))
        ear.wait(lambda: len(ear.segments) == 3)
    assert microphone.is_live
    # WebRTC goes on hearing speech for a while after its end
    assert speech_s(ear.segments) == pytest.approx([1.0, 2.1, 1.5], abs=0.25)
    for segment in ear.segments:
        voiced = segment.end_of_speech - segment.start
        assert len(segment.samples) - voiced == pytest.approx(0.3 * SAMPLE_RATE, abs=480)
        loud = np.flatnonzero(np.abs(segment.samples) > 1_000)
        assert 0.2 * SAMPLE_RATE < loud[0] < 0.45 * SAMPLE_RATE, "the pre-roll is before it"
    assert len(ear.segments) == 3
    size = microphone.frame_samples
    assert (len(ear.frames) - 1) * size < microphone.samples <= len(ear.frames) * size


def test_a_device_that_refuses_16_khz_is_resampled(
    sound: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_accepted_format", lambda *_: Format(44_100, 2))
    with Microphone() as microphone, Ear(microphone) as ear:
        sound.play_samples(talk(1.5))
        ear.wait(lambda: len(ear.segments) == 1)
    assert speech_s(ear.segments) == pytest.approx([1.6], abs=0.25)
    power = np.abs(np.fft.rfft(ear.segments[0].samples)) ** 2
    frequencies = np.fft.rfftfreq(len(ear.segments[0].samples), 1 / SAMPLE_RATE)
    formants = power[(frequencies > 500) & (frequencies < 1_500)].sum() / power.sum()
    assert formants > 0.6, "0.67; at twice or half the rate 0.17 and 0.57"


def test_a_sound_server_that_died_is_waited_for(sound: VirtualMicrophone) -> None:
    with capture_logs() as logs, Microphone() as microphone, Ear(microphone) as ear:
        sound.play_samples(talk(1.0))
        ear.wait(lambda: len(ear.segments) == 1)
        sound.kill()
        ear.wait(lambda: microphone.is_away)
        heard = len(ear.frames)
        ear.wait(lambda: len(ear.frames) > heard + 20)
        assert not np.concatenate(ear.frames[heard:]).any(), "away sounds like silence"
        sound.start()
        ear.wait(lambda: not microphone.is_away)
        sound.play_samples(talk(1.0, 1.0))
        ear.wait(lambda: len(ear.segments) == 3)
        ear.wait(lambda: "microphone_back" in events(logs))
    assert events(logs) == ["microphone_lost", "microphone_back"]


def test_speech_that_the_dying_server_cut_off_is_an_utterance_of_its_own(
    sound: VirtualMicrophone,
) -> None:
    with Microphone() as microphone, Ear(microphone, "command") as ear:
        playing = threading.Thread(target=play_until_killed, args=(sound, speechlike(30)))
        playing.start()
        ear.wait(lambda: bool(np.abs(ear.frames[-1]).max() > 1_000))
        heard = len(ear.frames)
        ear.wait(lambda: len(ear.frames) > heard + 50)
        sound.kill()
        playing.join()
        ear.wait(lambda: len(ear.segments) == 1)
        sound.start()
    assert ear.segments[0].speech_samples > SAMPLE_RATE


def play_until_killed(sound: VirtualMicrophone, samples: NDArray[np.int16]) -> None:
    try:
        sound.play_samples(samples)
    except subprocess.CalledProcessError:
        return


def events(logs: list[EventDict]) -> list[str]:
    """What was said about the microphone, but for debugging."""
    return [line["event"] for line in logs if line["log_level"] != "debug"]


def test_leaving_does_not_wait_for_a_frozen_sound_server(sound: VirtualMicrophone) -> None:
    with Microphone() as microphone:
        left = threading.Event()
        next(iter(microphone))
        sound.freeze()
        try:

            def leave() -> None:
                microphone.__exit__(None, None, None)
                left.set()

            threading.Thread(target=leave, daemon=True).start()
            assert left.wait(DEADLINE_S)
        finally:
            sound.thaw()


def test_a_sound_server_that_hangs_holds_up_nobody(
    sound: VirtualMicrophone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {**os.environ, **sound.env, "EARSHOT_LISTEN__OUTBOX": str(tmp_path / "outbox")}
    monkeypatch.setattr(devices, "ANSWER_S", 0.5)
    sound.freeze()
    try:
        with pytest.raises(NoMicrophone, match="has not answered"):
            list_devices()
        with subprocess.Popen([sys.executable, "-m", "ops.cli", "listen"], env=env) as process:
            try:
                maps = Path(f"/proc/{process.pid}/maps")
                until_sync(lambda: "libpulse" in maps.read_text())
                process.send_signal(signal.SIGINT)
                assert process.wait(DEADLINE_S) == 0
            finally:
                process.kill()
    finally:
        sound.thaw()


def test_the_level_of_a_device_is_shown(sound: VirtualMicrophone) -> None:
    env = {**os.environ, **sound.env}
    command = [sys.executable, "-m", "ops.cli", "devices", "--level", "--seconds"]
    quiet = subprocess.run([*command, "1"], env=env, capture_output=True, text=True, check=True)
    assert quiet.stdout == "-96 dB, peak -96 dB\n"
    with subprocess.Popen([*command, "60"], env=env, stdout=subprocess.PIPE, text=True) as metering:
        assert metering.stdout is not None
        assert metering.stdout.readline() == "-96 dB, peak -96 dB\n", "it records"
        sound.play_samples(speechlike(4, level=0.5))
        assert any("peak -6 dB" in line for line in metering.stdout)
        metering.send_signal(signal.SIGINT)
    assert metering.returncode == 0


@pytest.mark.parametrize("wanted", [99, "no such microphone"])
def test_a_device_that_does_not_exist_is_refused(
    sound: VirtualMicrophone, wanted: int | str
) -> None:
    with (
        pytest.raises(NoMicrophone, match=r"no input device .*: 0 \(pulse\), 1 \(default\)$"),
        Microphone(wanted),
    ):
        pass


def test_a_machine_without_sound_is_told_so(
    sound: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    with pytest.raises(NoMicrophone, match="no input device was found"), Microphone():
        pass


def test_a_device_that_dies_and_comes_back_adds_no_line_to_the_log_but_our_own(
    sound: VirtualMicrophone, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    env = {
        **os.environ,
        **sound.env,
        "EARSHOT_REDIS__URL": "redis://127.0.0.1:1/0",
        "EARSHOT_LISTEN__OUTBOX": str(tmp_path / "outbox"),
    }
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "ops.cli", "listen"], env=env, stderr=stderr
        ) as process,
    ):
        try:
            until_sync(lambda: '"listening"' in log.read_text())
            sound.kill()
            until_sync(lambda: '"microphone_lost"' in log.read_text())
            sound.start()
            until_sync(lambda: '"microphone_back"' in log.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert all(json.loads(line) for line in log.read_text().splitlines())


def test_probing_prints_nothing(sound: VirtualMicrophone) -> None:
    env = {**os.environ, **sound.env}
    del env["ALSA_CONFIG_PATH"]  # ALSA's own files name dozens of devices that are not there
    program = "from producer.microphone.devices import list_devices; print(len(list_devices()))"
    probing = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert int(probing.stdout) > 0
    assert probing.stderr == ""
