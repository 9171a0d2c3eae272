"""The stand-in answers in character, the same way each time, and reads the conversation back."""

from __future__ import annotations

import re

import pytest

from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.replies import RULES, reply_to
from ops.demo.standin.wit.rules import Rule
from ops.demo.standin.wit.wording import normalise

EXAMPLES = {
    "reminder": "Please remind me to close the windows.",
    "lights to level": "Set the kitchen lights to ten percent.",
    "lights": "Turn off the kitchen lights.",
    "brightness": "Make it brighter.",
    "music": "Can you play quiet music in the kitchen?",
    "volume": "Turn up the volume.",
    "song control": "Skip this song.",
    "thermostat": "What is the temperature in the office?",
    "door or window": "Is the front door locked?",
    "timer set": "Set a timer for ten minutes.",
    "timer": "How much time is left?",
    "alarm": "Wake me up at seven o'clock.",
    "shopping add": "Add milk and eggs to my shopping list.",
    "shopping remove": "Remove milk from my shopping list.",
    "calendar": "When is my next meeting?",
    "messages": "Send a message to Anna.",
    "phone": "Call my mother.",
    "device": "Is the coffee machine on?",
    "joke about": "Tell me a joke about the moon.",
    "joke": "Hello, can you tell me a joke?",
    "riddle": "Tell me a riddle.",
    "story about": "Tell me a story about the sea.",
    "story": "Tell me a story.",
    "poem or song": "Write a poem about winter.",
    "fact": "What do you know about cats?",
    "something interesting": "Tell me something interesting.",
    "time": "What time is it in London?",
    "date": "What is the date on Monday?",
    "sun": "When does the sun rise?",
    "umbrella": "Do I need an umbrella tomorrow?",
    "weather": "Is it cold outside?",
    "news": "Read me the news.",
    "recipe": "How do I make pancakes?",
    "cooking": "What should I cook tonight?",
    "coin": "Flip a coin.",
    "dice": "Roll the dice.",
    "translate": "How do you say hello in French?",
    "meaning of life": "What is the meaning of life?",
    "sky": "Why is the sky blue?",
    "how far, how many": "How far is it to Rome?",
    "what are you": "Who are you?",
    "made": "How old are you?",
    "abilities": "Can you help me?",
    "there": "Can you hear me?",
    "how are you": "Hello, how are you today?",
    "my name is": "My name is Peter.",
    "meeting": "Nice to meet you.",
    "opinion": "Do you like jazz?",
    "no thanks": "No, thank you.",
    "thanks": "Thank you very much.",
    "praise": "That was funny.",
    "stop": "Stop, please.",
    "go on": "Go on.",
    "sorry": "I do not understand.",
    "goodbye": "See you tomorrow.",
    "yes": "Yes, please.",
    "hello": "Good morning.",
}
"""For each rule a sentence that it must be the first to catch."""


def talk(*turns: str) -> list[Message]:
    """User and assistant messages in turn, the user first."""
    roles = ("user", "assistant")
    return [Message(role=roles[i % 2], content=text) for i, text in enumerate(turns)]


def ask(*turns: str) -> str:
    """The reply to the last of `turns`, which are user and assistant in turn."""
    return reply_to(talk(*turns))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_catches_its_sentence_and_answers_briefly(rule: Rule) -> None:
    sentence = normalise(EXAMPLES[rule.name])

    assert next(other for other in RULES if other.matches(sentence)) is rule
    for times in range(len(rule.replies)):
        reply = rule.reply(sentence, times)
        assert "{" not in reply
        assert len(re.findall(r"[.?!](?:\s|$)", reply)) <= 2


def test_what_was_heard_is_said_back_to_the_speaker() -> None:
    assert "call your mother" in ask("Remind me to call my mother.")
    assert "milk" in ask("Add milk to my shopping list.")


def test_the_same_messages_get_the_same_reply_and_coming_back_the_next() -> None:
    first = ask("Tell me a joke.")
    second = ask("Tell me a joke.", first, "Tell me another joke.")

    assert ask("Tell me a joke.") == first
    assert second != first
    assert ask("Tell me a joke.", first, "One more, please.") == second


def test_what_no_rule_knows_is_quoted_with_an_admission() -> None:
    reply = ask("Colourless green ideas sleep furiously.")

    assert '"Colourless green ideas sleep furiously."' in reply
    assert "only a stand-in" in reply


def test_a_long_text_is_quoted_in_part() -> None:
    reply = ask("blah " * 500)

    assert len(reply.split()) < 60
    assert "..." in reply


def test_turns_that_were_merged_are_both_answered() -> None:
    both = ask("What is two plus three?\nWhat is the capital of France?")

    assert "5" in both
    assert "Paris" in both


@pytest.mark.parametrize("text", ["", "  ", "...", "?!"])
def test_nothing_gets_an_answer_too(text: str) -> None:
    assert "only a stand-in" in ask(text)


def test_a_conversation_without_a_user_gets_an_answer_too() -> None:
    assert "only a stand-in" in reply_to([Message(role="system", content="Be brief.")])


@pytest.mark.parametrize(
    "question",
    ["What did I say before?", "What did I just say?", "What was my last question?"],
)
def test_the_question_before_is_known(question: str) -> None:
    assert '"Turn on the lights."' in ask("Hello.", "Hi.", "Turn on the lights.", "No.", question)
    assert "nothing" in ask(question)


@pytest.mark.parametrize(
    "question", ["What was my first question?", "What was the first thing I said?"]
)
def test_the_first_question_is_known(question: str) -> None:
    assert '"Hello."' in ask("Hello.", "Hi.", "Turn on the lights.", "No.", question)


@pytest.mark.parametrize("request_", ["Repeat that, please.", "Say that again.", "Come again?"])
def test_the_last_answer_is_repeated_also_twice(request_: str) -> None:
    once = ask("Hello.", "Good day to you.", request_)

    assert once == 'I said: "Good day to you."'
    assert ask("Hello.", "Good day to you.", request_, once, request_) == once


def test_what_was_said_is_counted_and_summed_up() -> None:
    turns = ("Hello.", "Hi.", "Lights on.", "No.")

    assert " 2 messages" in ask(*turns, "How many questions have I asked?")
    summary = ask(*turns, "What have we talked about?")
    assert '"Hello." and "Lights on."' in summary


def test_a_name_is_remembered() -> None:
    assert "Peter" in ask("My name is Peter.", "Pleased.", "What is my name?")
    assert "not told" in ask("What is my name?")


def test_the_shopping_list_is_what_the_conversation_made_of_it() -> None:
    turns = (
        "Add milk and eggs to my shopping list.",
        "Heard.",
        "Put bread on the shopping list.",
        "Heard.",
        "Remove eggs from my shopping list.",
        "Heard.",
    )

    assert "milk and bread." in ask(*turns, "What is on my shopping list?")
    assert "empty" in ask("What is on my shopping list?")


def test_reminders_are_read_back() -> None:
    reply = ask("Remind me to feed my cat.", "Heard.", "What are my reminders?")

    assert "feed your cat" in reply


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is two plus three?", "5"),
        ("What is forty five minus two?", "43"),
        ("What is 6 times 7?", "42"),
        ("What is two minus ten?", "-8"),
        ("What is the capital of Japan?", "Tokyo"),
        ("What does the cat say?", "meow"),
    ],
)
def test_a_few_things_are_known(question: str, answer: str) -> None:
    assert answer in ask(question)


def test_sums_of_unknown_numbers_are_left_to_a_model() -> None:
    assert "only a stand-in" in ask("What is umpteen plus three?")
