"""Where a package of an extra is missing, a person reads what to install."""

from common.extras import how_to_install


def test_the_extra_that_brings_a_package_is_named() -> None:
    missing = ModuleNotFoundError("No module named 'faster_whisper'", name="faster_whisper.audio")
    assert how_to_install(missing) == (
        "faster_whisper is not installed here: pip install 'earshot[stt]'"
    )


def test_a_package_that_no_extra_brings_is_a_bug() -> None:
    assert how_to_install(ModuleNotFoundError("No module named 'nope'", name="nope")) is None
    assert how_to_install(ModuleNotFoundError("who knows")) is None
