"""A script is its file behind the files that it includes, with named arguments."""

import hashlib
from importlib import resources

import pytest

from common.redis.script import INCLUDE, Script, assemble, parse_signature, read_file

NAMES = sorted(
    file.name.removesuffix(".lua")
    for file in (resources.files("common") / "lua").iterdir()
    if file.name.endswith(".lua")
)
SETTLE = """-- keys: stream dead
-- args: entry turn:number final:flag
-- args: messages...
return 1"""


def test_there_are_scripts() -> None:
    assert {"publish", "commit", "settle_turn", "tend", "replay"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_script_includes_stands_before_it_once(name: str) -> None:
    text = assemble(name)
    own = read_file(name)
    assert text.endswith(own)
    for part in INCLUDE.findall(own):
        included = read_file(part)
        assert text.count(included) == 1
        assert text.index(included) < text.index(own)


@pytest.mark.parametrize("name", NAMES)
def test_no_script_numbers_its_keys_or_arguments(name: str) -> None:
    code = "\n".join(line for line in read_file(name).splitlines() if not line.startswith("--"))
    assert "KEYS[" not in code
    assert "ARGV[" not in code.replace("ARGV[i]", "")  # a loop over any number of values


def test_the_digest_is_the_one_that_redis_computes() -> None:
    script = Script("publish")
    assert script.digest == hashlib.sha1(assemble("publish").encode()).hexdigest()


def test_names_stand_for_places_through_all_files() -> None:
    signature = parse_signature(["-- keys: SESSION\n-- args: ID", SETTLE])
    assert signature.prologue.split("; ") == [
        "local SESSION = KEYS[1]",
        "local stream = KEYS[2]",
        "local dead = KEYS[3]",
        "local ID = ARGV[1]",
        "local entry = ARGV[2]",
        "local turn = tonumber(ARGV[3])",
        "local final = ARGV[4] == '1'",
        "local messages_at = 5",
    ]


def test_arguments_are_ordered_as_the_script_reads_them() -> None:
    signature = parse_signature([SETTLE])
    keys, values = signature.ordered(
        {"dead": "d", "stream": "s"},
        {"messages": ["a", "b"], "final": True, "entry": "1-0", "turn": 7},
    )
    assert (keys, values) == (["s", "d"], ["1-0", 7, 1, "a", "b"])


@pytest.mark.parametrize(
    ("keys", "args", "said"),
    [
        ({"stream": "s"}, {}, "keys are missing: dead"),
        ({"stream": "s", "dead": "d", "open": "o"}, {}, "no keys open"),
        ({}, {"turn": 1}, "arguments are missing: entry, final, messages"),
        ({}, {"entry": "e", "turn": 1, "final": 1, "messages": [], "x": 1}, "no arguments x"),
        ({}, {"entry": "e", "turn": 1, "final": 1, "messages": "text"}, "takes a sequence"),
        ({}, {"entry": ["e"], "turn": 1, "final": 1, "messages": []}, "takes one value"),
    ],
)
def test_wrong_names_are_refused_before_redis_is_asked(
    keys: dict[str, str], args: dict[str, str | int | list[str]], said: str
) -> None:
    signature = parse_signature([SETTLE])
    with pytest.raises(TypeError, match=said):
        signature.ordered(keys or {"stream": "s", "dead": "d"}, args)


@pytest.mark.parametrize("args", ["one one", "more... one"])
def test_a_header_that_names_twice_or_puts_dots_first_is_refused(args: str) -> None:
    with pytest.raises(ValueError, match="twice, or dots"):
        parse_signature([f"-- args: {args}"])


def test_what_an_included_file_includes_comes_first_and_once() -> None:
    files = {
        "top": "-- include: middle\n-- include: bottom\ntop",
        "middle": "-- include: bottom\nmiddle",
        "bottom": "bottom",
    }
    assert assemble("top", files.__getitem__).splitlines()[-1] == "top"
    assert [
        line for line in assemble("top", files.__getitem__).splitlines() if not line.startswith("-")
    ] == ["", "bottom", "middle", "top"]
