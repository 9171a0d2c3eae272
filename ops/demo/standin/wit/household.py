"""Replies to people who want something done at home, which a stand-in cannot do."""

from __future__ import annotations

from typing import Final

from ops.demo.standin.wit.rules import Rule, rule

HOUSEHOLD: Final[tuple[Rule, ...]] = (
    rule(
        "reminder",
        r"\bremind me to (?P<task>.+?)(?: please)?$",
        "I can repeat it while we talk, but I will not ring: you want to {task}.",
    ),
    rule(
        "lights to level",
        r"\b(?:set|dim|brighten) the (?P<what>(?:\w+ ){0,2}lights?)",
        "I heard that you want the {what} changed, but a stand-in has no hand on any dimmer.",
    ),
    rule(
        "lights",
        r"^(?=.*\blights?\b)(?=.*\b(?P<state>on|off)\b)",
        "You want the lights {state}, but I am wired to nothing; "
        "the switch by the door still works.",
        "The lights, {state}: heard again, and still no wire to them.",
    ),
    rule(
        "brightness",
        r"\bmake it (?P<how>brighter|darker)\b",
        "Only a real switch can make it {how}; I can but make light of it.",
    ),
    rule(
        "music",
        r"^(?:.* )?(?:play|put on) (?P<music>.+?)(?: in the [\w ]+)?(?: please)?$",
        "I would gladly hear {music} too, but I have no loudspeaker.",
        "Please imagine {music}; it is the best that a stand-in can offer.",
    ),
    rule(
        "volume",
        r"\bvolume\b|\bturn it (?:up|down)\b|^(?:louder|quieter)\b",
        "I am only text, so I am already as quiet as can be.",
    ),
    rule(
        "song control",
        r"\b(?:next|skip|pause)\b.*\b(?:song|music)\b|\b(?:song is this)\b|\bstop the music\b",
        "Nothing is playing here: a stand-in travels without an orchestra.",
    ),
    rule(
        "thermostat",
        r"^(?!.*\boutside\b).*\b(?:temperature|thermostat|degrees|warmer|colder|too cold|too warm"
        r"|how warm)\b",
        "I cannot reach the thermostat; a jumper and a real model are both worth a try.",
    ),
    rule(
        "door or window",
        r"^(?=.*\b(?:open|close|lock)(?:d|ed)?\b).*\b(?P<what>doors?|windows?)\b",
        "Please see to the {what} yourself; a stand-in holds no keys.",
    ),
    rule(
        "timer set",
        r"\b(?:set|start) (?:a|the) timer\b",
        "I heard that you want a timer, but without a clock I would miss the moment: "
        "nothing is running.",
        "Another timer that I cannot start; the kitchen has one that rings.",
    ),
    rule(
        "timer",
        r"\btimer\b|\bhow much time is left\b",
        "There is no timer to look after: a stand-in starts none.",
    ),
    rule(
        "alarm",
        r"\balarm\b|\bwake me\b|^snooze\b",
        "Do not rely on me for that: I set no alarm, I only sound like someone who would.",
    ),
    rule(
        "shopping add",
        r"\b(?:add|put) (?P<things>.+?) (?:to|on|onto) (?:my|the|our) (?:shopping )?list",
        "I heard {things}; ask me what is on the list, and I will read it back "
        "from this conversation.",
        "And {things} as well: I keep no list, but the conversation does.",
    ),
    rule(
        "shopping remove",
        r"\b(?:remove|take|delete) (?P<things>.+?) (?:from|off) (?:my|the|our) ",
        "No {things} then; when you ask for the list I will leave that out.",
    ),
    rule(
        "calendar",
        r"\b(?:calendar|meetings?|appointments?)\b",
        "I have no calendar, so as far as I can see you are free: please check.",
    ),
    rule(
        "messages",
        r"\b(?:send|read)\b.*\bmessages?\b|\bnew messages\b",
        "I cannot reach your messages, and they are none of a stand-in's business.",
    ),
    rule(
        "phone",
        r"^(?:please |could you |can you )?(?:call|phone|ring) (?!me\b)(?P<who>.+?)(?: please)?$",
        "I have no telephone, but do give {who} my regards.",
    ),
    rule(
        "device",
        r"\b(?:turn|switch)\b.*\b(?:on|off)\b|\bis the (?:\w+ ){1,2}(?:on|off)$",
        "I am plugged into nothing, so that stays as it is.",
    ),
)
