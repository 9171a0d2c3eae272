"""Replies in small talk: to greetings, thanks, and questions about the stand-in itself."""

from __future__ import annotations

from typing import Final

from ops.demo.standin.wit.rules import Rule, rule

COURTESIES: Final[tuple[Rule, ...]] = (
    rule(
        "what are you",
        r"\b(?:who|what) are you\b|\byour name\b|\bare you (?:a|an) (?:robot|model|human|ai)\b"
        r"|\b(?:chat ?gpt|language model)\b",
        "I am the stand-in: a few pages of canned lines, and no model at all.",
        "Still the stand-in, and still no model.",
    ),
    rule(
        "made",
        r"\bwho made you\b|\bhow old are you\b|\bwhere are you\b",
        "I came with earshot and live in one small process on this machine.",
    ),
    rule(
        "abilities",
        r"\bwhat can you do\b|\b(?:can|could) you help\b|^help(?: me)?(?: please)?$",
        "I can show that your words arrive: ask me what you said before. "
        "For real answers, connect a model.",
    ),
    rule(
        "there",
        r"\b(?:are you there|can you hear me|do you hear me)\b",
        "Loud and clear: every word of yours came through as text.",
    ),
    rule(
        "how are you",
        r"\bhow (?:are you|do you do)\b",
        "Well rehearsed, thank you; and you?",
        "As well as before: nothing ever changes in a stand-in.",
    ),
    rule(
        "my name is",
        r"\b(?:my name is|my name's|^call me) ",
        "Pleased to meet you; ask me for your name later, and I will look it up "
        "in this conversation.",
    ),
    rule(
        "meeting",
        r"\bnice to meet you\b",
        "The pleasure is all canned, but meant well.",
    ),
    rule(
        "opinion",
        r"\bdo you (?:like|think|want|love)\b|\bwhat do you think\b",
        "A stand-in has no opinions, only lines.",
    ),
    rule(
        "no thanks",
        r"^no(?: thank you| thanks)?$|^maybe later$|^(?:never mind|cancel(?: that)?)$",
        "Very well, consider it not done; with me that is easy.",
    ),
    rule(
        "thanks",
        r"\b(?:thank you|thanks)\b",
        "You are welcome; it was all in the script.",
        "Any time: gratitude is always in my repertoire.",
    ),
    rule(
        "praise",
        r"\bthat (?:was|is) (?:\w+ )?(?:funny|great|good|nice|wonderful)\b",
        "Thank you; I will pass it on to whoever wrote my lines.",
    ),
    rule(
        "stop",
        r"^(?:please )?(?:stop|be quiet|wait|slower)\b",
        "I have stopped already: two sentences are all that I ever say.",
    ),
    rule(
        "go on",
        r"^(?:please )?(?:go on|continue)\b",
        "That was all of it; a stand-in has no second act.",
    ),
    rule(
        "sorry",
        r"\bi(?: a|')m sorry\b|^sorry\b|\bi do(?: not|n't) understand\b|\bi(?: a|')m not sure\b",
        "No harm done: I did not understand it either, I am only a stand-in.",
    ),
    rule(
        "goodbye",
        r"\b(?:good ?bye|good night|see you)\b|^bye\b|\bthat is all\b",
        "Goodbye; I will stand in right here.",
    ),
    rule(
        "yes",
        r"^(?:yes|okay|ok|of course|sure|you are welcome|i(?: a|')m fine)\b(?! \w+ \w+ \w+)",
        "Good; then it is your turn again.",
    ),
    rule(
        "hello",
        r"^(?:well )?(?:hello|hi|hey|good (?:morning|afternoon|evening|day))\b",
        "Hello! I am the stand-in, here until a real model takes over.",
        "Hello again; the stand-in has not moved.",
    ),
)
