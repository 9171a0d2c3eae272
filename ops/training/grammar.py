"""The sentences the demo model knows: templates of a small assistant grammar.

A template is a sentence with `{slot}` holes. `sentences()` fills them all;
about one filling in `HELD_OUT_ONE_IN` is kept from training, so that the
evaluation can ask for combinations that the model has never heard.
"""

from __future__ import annotations

import itertools
import random
import re
import string
import zlib
from dataclasses import dataclass
from typing import Final

HELD_OUT_ONE_IN: Final = 20
"""One filling in this many of a template with slots is kept from training."""

MAX_FILLINGS: Final = 400
"""Most fillings taken of one template; larger products are sampled evenly."""

SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "number": ("two", "three", "five", "ten", "fifteen", "twenty", "thirty", "forty five"),
    "few": ("two", "three", "five", "ten"),
    "hour": ("five", "six", "seven", "eight", "nine", "ten"),
    "past": ("fifteen", "thirty", "forty five"),
    "degrees": ("eighteen", "nineteen", "twenty", "twenty one", "twenty two"),
    "percent": ("ten", "twenty", "fifty", "eighty"),
    "unit": ("seconds", "minutes", "hours"),
    "onoff": ("on", "off"),
    "updown": ("up", "down"),
    "room": (
        "kitchen", "bedroom", "living room", "bathroom", "hallway", "garage", "office", "garden",
    ),
    "device": ("radio", "television", "fan", "heating", "coffee machine", "music"),
    "daypart": ("morning", "afternoon", "evening"),
    "when": ("today", "tomorrow", "tonight", "this weekend", "on Monday", "on Friday"),
    "day": (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
    ),
    "city": ("London", "Paris", "Berlin", "Tokyo", "Rome", "New York", "Madrid", "Sydney"),
    "country": ("France", "Germany", "Italy", "Spain", "Japan", "Canada", "Australia", "Brazil"),
    "music": ("jazz", "classical music", "rock music", "some piano music", "my favorite songs",
              "quiet music", "the news", "dance music"),
    "food": (
        "milk", "bread", "eggs", "cheese", "apples", "bananas", "coffee", "butter", "tomatoes",
        "orange juice",
    ),
    "dish": ("pancakes", "soup", "pasta", "a cake", "an omelette", "pizza", "bread"),
    "cooked": ("eggs", "rice", "chicken"),
    "task": (
        "call my mother", "water the plants", "feed the cat", "walk the dog", "buy some milk",
        "take out the trash", "pay the rent", "call the doctor", "do the laundry",
        "close the windows",
    ),
    "person": ("my mother", "my father", "my sister", "my brother", "the doctor", "Anna",
               "Peter", "the office"),
    "animal": ("cat", "dog", "elephant", "penguin", "horse", "whale", "spider", "robot"),
    "topic": (
        "a cat", "a dog", "a robot", "a dragon", "the moon", "the sea", "a princess", "space",
    ),
    "fact": ("the moon", "the sun", "the ocean", "cats", "elephants", "space", "history",
             "music", "the weather"),
    "opener": ("Hello", "Hey", "Okay"),
    "language": ("French", "German", "Spanish", "Italian", "Japanese"),
    "word": ("hello", "thank you", "good morning", "goodbye", "please", "water"),
    "thing": ("the weather", "the time", "the news", "the date"),
}  # fmt: skip

TEMPLATES: Final[tuple[str, ...]] = (
    # greetings and small talk
    "Hello.",
    "Hi there.",
    "Good {daypart}.",
    "Good night.",
    "Goodbye.",
    "Bye.",
    "See you later.",
    "See you tomorrow.",
    "How are you?",
    "How are you today?",
    "{opener}, how are you?",
    "{opener}, how are you today?",
    "I am fine, thank you.",
    "What is your name?",
    "My name is {person}.",
    "Who are you?",
    "Who made you?",
    "What can you do?",
    "How old are you?",
    "Where are you?",
    "Are you a robot?",
    "Are you there?",
    "Can you hear me?",
    "Can you help me?",
    "{opener}, can you help me?",
    "Nice to meet you.",
    "What do you think?",
    "Do you like {music}?",
    "What is the meaning of life?",
    # short answers
    "Yes.",
    "No.",
    "Okay.",
    "Stop.",
    "Yes, please.",
    "No, thank you.",
    "Thank you.",
    "Thanks.",
    "Thank you very much.",
    "Thanks a lot.",
    "That was funny.",
    "That is great.",
    "That is all for today.",
    "Never mind.",
    "Cancel.",
    "Cancel that.",
    "Stop it.",
    "Stop, please.",
    "Wait.",
    "Wait a minute.",
    "Go on.",
    "Continue.",
    "Repeat that, please.",
    "Please say that again.",
    "Say that again.",
    "I do not understand.",
    "Louder, please.",
    "Slower, please.",
    "Be quiet, please.",
    "One more, please.",
    "Another one, please.",
    "Maybe later.",
    "I am not sure.",
    "Of course.",
    "You are welcome.",
    "I am sorry.",
    "Help.",
    # jokes, stories, facts
    "Tell me a joke.",
    "Please tell me a joke.",
    "{opener}, tell me a joke.",
    "{opener}, please tell me a joke.",
    "Can you tell me a joke?",
    "Tell me another joke.",
    "Please tell me another joke.",
    "Tell me a joke about {topic}.",
    "Do you know a joke about {topic}?",
    "Tell me a story.",
    "Please tell me a story.",
    "Can you tell me a story?",
    "Tell me a story about {topic}.",
    "Please tell me a story about {topic}.",
    "Tell me a short story about {topic}.",
    "Tell me a fact about {fact}.",
    "Tell me something about {fact}.",
    "Please tell me something about {fact}.",
    "What do you know about {fact}?",
    "Tell me something interesting.",
    "Tell me a riddle.",
    "Sing me a song.",
    "Sing a song about {topic}.",
    "Write a poem about {topic}.",
    "What does the {animal} say?",
    "How fast is a {animal}?",
    "Make me laugh.",
    # time and date
    "What time is it?",
    "What time is it now?",
    "{opener}, what time is it?",
    "Please tell me the time.",
    "What time is it in {city}?",
    "What day is it today?",
    "What is the date today?",
    "What is the date on {day}?",
    "Tell me {thing}, please.",
    "When does the sun rise?",
    "When does the sun set?",
    # lights and devices
    "Lights {onoff}.",
    "Turn {onoff} the lights.",
    "Turn the lights {onoff}.",
    "Please turn {onoff} the lights.",
    "Turn {onoff} the {room} lights.",
    "Please turn {onoff} the {room} lights.",
    "Can you turn {onoff} the {room} lights?",
    "Turn {onoff} the lights in the {room}.",
    "Turn the {room} lights {onoff}.",
    "Switch {onoff} the {room} lights.",
    "{opener}, turn {onoff} the {room} lights.",
    "Set the {room} lights to {percent} percent.",
    "Dim the lights.",
    "Dim the {room} lights.",
    "Make it brighter.",
    "Make it darker.",
    "Turn {onoff} the {device}.",
    "Please turn {onoff} the {device}.",
    "Turn {onoff} the {device} in the {room}.",
    "Is the {device} {onoff}?",
    "Open the {room} door.",
    "Close the {room} door.",
    "Lock the front door.",
    "Is the front door locked?",
    "Open the window.",
    "Close the window.",
    # thermostat
    "Set the temperature to {degrees} degrees.",
    "Please set the temperature to {degrees} degrees.",
    "Set the thermostat to {degrees} degrees.",
    "Set the {room} to {degrees} degrees.",
    "How warm is it in the {room}?",
    "What is the temperature outside?",
    "What is the temperature in the {room}?",
    "Make it warmer.",
    "Make it colder.",
    "It is too cold.",
    "It is too warm in the {room}.",
    # timers and alarms
    "Set a timer.",
    "Set a timer for {number} {unit}.",
    "Please set a timer for {number} {unit}.",
    "{opener}, set a timer for {number} {unit}.",
    "Set a timer for one minute.",
    "Set a timer for one hour.",
    "Set a timer for half an hour.",
    "Start a timer for {number} {unit}.",
    "Start the timer.",
    "Stop the timer.",
    "Cancel the timer.",
    "How much time is left?",
    "Set an alarm for {hour} o'clock.",
    "Set an alarm for {hour} {past}.",
    "Please set an alarm for {hour} o'clock.",
    "Wake me up at {hour} o'clock.",
    "Wake me up at {hour} {past}.",
    "Wake me up at {hour} in the morning.",
    "Please wake me up at {hour} o'clock tomorrow.",
    "Stop the alarm.",
    "Cancel the alarm.",
    "Snooze.",
    # reminders, calendar, calls
    "Remind me to {task}.",
    "Please remind me to {task}.",
    "Remind me to {task} at {hour} o'clock.",
    "Remind me to {task} tomorrow.",
    "Remind me to {task} in {number} minutes.",
    "Remind me to {task} on {day}.",
    "What are my reminders?",
    "What is on my calendar {when}?",
    "Do I have any meetings {when}?",
    "When is my next meeting?",
    "Add a meeting with {person} on {day}.",
    "Call {person}.",
    "Please call {person}.",
    "Send a message to {person}.",
    "Read my messages.",
    "Do I have any new messages?",
    # weather
    "What is the weather like?",
    "What is the weather like {when}?",
    "What is the weather like in {city}?",
    "How is the weather {when}?",
    "How is the weather in {city}?",
    "What will the weather be like {when}?",
    "{opener}, what is the weather like {when}?",
    "Will it rain {when}?",
    "Will it snow {when}?",
    "Is it raining?",
    "Is it cold outside?",
    "Do I need an umbrella?",
    "Do I need an umbrella {when}?",
    # music
    "Play {music}.",
    "Please play {music}.",
    "Play {music} in the {room}.",
    "Can you play {music}?",
    "{opener}, play {music}.",
    "Play some music.",
    "Please play some music.",
    "Play the next song.",
    "Next song, please.",
    "Skip this song.",
    "Pause the music.",
    "Stop the music.",
    "Turn {updown} the volume.",
    "Turn the volume {updown}.",
    "Turn it {updown}.",
    "Set the volume to {percent} percent.",
    "What song is this?",
    # shopping and cooking
    "Add {food} to my shopping list.",
    "Please add {food} to the shopping list.",
    "Add {food} and {food} to my shopping list.",
    "Put {food} on the shopping list.",
    "Remove {food} from my shopping list.",
    "What is on my shopping list?",
    "Do we need {food}?",
    "How do I make {dish}?",
    "How do I cook {cooked}?",
    "How long do I boil eggs?",
    "Find a recipe for {dish}.",
    "What should I cook {when}?",
    # knowledge and sums
    "What is the capital of {country}?",
    "How far is it to {city}?",
    "How do I get to {city}?",
    "What is {few} plus {few}?",
    "What is {few} times {few}?",
    "How do you say {word} in {language}?",
    "How high is the highest mountain?",
    "How many people live in {city}?",
    "How many people live in {country}?",
    "How far away is the moon?",
    "Why is the sky blue?",
    "Flip a coin.",
    "Roll the dice.",
    "Pick a number from one to ten.",
    "What is the news today?",
    "Read me the news.",
)


@dataclass(frozen=True)
class Sentences:
    """All sentences of one template, split into those to train on and the rest."""

    template: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]


def sentences() -> list[Sentences]:
    """Every template filled; the same on every machine and in every run."""
    return [_fill(template) for template in TEMPLATES]


def vocabulary() -> set[str]:
    """Every word that occurs in the grammar, normalised."""
    return {
        word
        for group in sentences()
        for text in (*group.train, *group.held_out)
        for word in normalise(text).split()
    }


def normalise(text: str) -> str:
    """Case and punctuation removed: how transcripts are compared everywhere."""
    return " ".join(re.sub(r"[^\w\s']", " ", text.casefold()).split())


def pick(groups: list[Sentences], rng: random.Random, *, held_out: bool = False) -> str:
    """One sentence; a template's weight is the cube root of its fillings.

    Uniform over templates would drown the slots, uniform over sentences the
    short phrases.
    """
    pools = [group.held_out if held_out else group.train for group in groups]
    weights = [len(pool) ** (1 / 3) for pool in pools]
    return rng.choice(rng.choices(pools, weights)[0])


def _fill(template: str) -> Sentences:
    holes = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    products = itertools.product(*(SLOTS[name] for name in holes))
    texts = [_insert(template, values) for values in products if len(set(values)) == len(values)]
    if len(texts) > MAX_FILLINGS:
        texts = texts[:: -(-len(texts) // MAX_FILLINGS)]
    if len(texts) < HELD_OUT_ONE_IN // 2:
        return Sentences(template, tuple(texts), ())
    held_out = tuple(t for t in texts if zlib.crc32(t.encode()) % HELD_OUT_ONE_IN == 0)
    return Sentences(template, tuple(t for t in texts if t not in held_out), held_out)


def _insert(template: str, values: tuple[str, ...]) -> str:
    remaining = iter(values)
    return re.sub(r"\{\w+\}", lambda _: next(remaining), template)
