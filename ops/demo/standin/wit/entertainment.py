"""Replies to people who want to be entertained, or to know something."""

from __future__ import annotations

from typing import Final

from ops.demo.standin.wit.rules import Rule, rule

ENTERTAINMENT: Final[tuple[Rule, ...]] = (
    rule(
        "joke about",
        r"\bjoke about (?P<topic>.+?)(?: please)?$",
        "I have no joke about {topic}, and a stand-in must not improvise.",
        "A joke about {topic}? Those are kept for the real model.",
    ),
    rule(
        "joke",
        r"\bjokes?\b|\bmake me laugh\b",
        "Why did the microphone leave the speaker? There was too much feedback.",
        "I know a good one about UDP, but you might not get it.",
        "A message walked into a bar and ordered exactly once.",
        "Why does a stand-in never win an argument? It has only so many lines.",
        "I wanted to tell you one about timing, but I was told to wait before I speak.",
    ),
    rule(
        "riddle",
        r"\briddle\b",
        "What speaks without knowing a thing? You are listening to it.",
    ),
    rule(
        "story about",
        r"\bstory about (?P<topic>.+?)(?: please)?$",
        "Once upon a time someone asked a stand-in for a story about {topic}. "
        "It ended here, for the stand-in knew only two sentences.",
        "Here is another one, about {topic}: it waited for a real model, and then it began.",
    ),
    rule(
        "story",
        r"\bstory\b",
        "Once upon a time there was a stand-in, and then the real model came. The end.",
        "The second part is shorter: it came, and it was worth the wait.",
    ),
    rule(
        "poem or song",
        r"\b(?:poem|song about|sing)\b",
        "Roses are red, my lines are few; a real model would sing for you.",
    ),
    rule(
        "fact",
        r"\b(?:tell me|know) (?:a fact |something )?about\b|\bfact about\b",
        "The only fact that I am sure of is that I am a stand-in; "
        "the rest is for a model that has read books.",
    ),
    rule(
        "something interesting",
        r"\bsomething interesting\b",
        "Everything that I will ever say fits on a few pages; I find that restful.",
    ),
    rule(
        "time",
        r"\bwhat time\b|\btell me the time\b|\bthe time please\b|\bhow late is it\b",
        "It is time to connect a real model; I was not given a clock.",
        "Still no clock here, and it is a little later than when you last asked.",
    ),
    rule(
        "date",
        r"\b(?:what day|what date|the date)\b|\bwhat year\b",
        "For a stand-in every day is opening day; I have no calendar to look at.",
    ),
    rule(
        "sun",
        r"\bsun (?P<does>rise|set)\b",
        "The sun will {does} when it always does; I have no window to see it from.",
    ),
    rule(
        "umbrella",
        r"\bumbrella\b",
        "Take one: I cannot see the sky, and nobody was ever soaked by carrying an umbrella.",
    ),
    rule(
        "weather",
        r"\bweather\b|\b(?:rain|raining|snow|snowing|sunny|forecast)\b|\bcold outside\b"
        r"|\btemperature outside\b",
        "In here it is mild, with light jitter; for outside, ask a model with a window.",
        "My forecast is the same as before: canned, with a chance of wit.",
    ),
    rule(
        "news",
        r"\bnews\b",
        "The news is that your question got this far; for any other I am not connected.",
    ),
    rule(
        "recipe",
        r"\b(?:recipe for|how do i (?:make|cook)) (?P<dish>.+?)(?: please)?$",
        "I cannot cook from cue cards; ask a real model about {dish}, and then a real cook.",
    ),
    rule(
        "cooking",
        r"\b(?:should i cook|boil eggs|do we need)\b",
        "I have never been in a kitchen, so I would only be guessing.",
    ),
    rule(
        "coin",
        r"\bflip a coin\b",
        "Heads, as always: my only coin is painted on.",
    ),
    rule(
        "dice",
        r"\b(?:roll|throw)\b.*\b(?:dice|die)\b|\bpick a number\b",
        "Four; it is no accident, a stand-in does not do chance.",
    ),
    rule(
        "translate",
        r"\bhow do you say (?P<word>.+?) in (?P<language>\w+)$",
        "My script is in one language only, and {word} is not in it twice.",
    ),
    rule(
        "meaning of life",
        r"\bmeaning of life\b",
        "Forty-two, I have read; that line was already taken when I got here.",
    ),
    rule(
        "sky",
        r"\bsky blue\b",
        "Because air scatters blue light most; somebody wrote that down for me.",
    ),
    rule(
        "how far, how many",
        r"\bhow (?:far|high|fast|many people|long)\b|\bhow do i get to\b",
        "More than I can count; a real model might even know the number.",
    ),
)
