"""Names that a producer gives: its default session, its sources, the ids of its utterances."""

import hashlib
import re
import socket
import uuid


def new_utterance_id() -> str:
    """Return an id of 128 random bits, unique on every host."""
    return uuid.uuid4().hex


def next_utterance_id(utterance: str) -> str:
    """Return the id of the turn that an utterance begins when its first turn ended without it.

    It is always the same one. So an utterance whose new id could not be stored, since the disk
    failed, gets no third one from the next process, and is not answered twice.
    """
    return hashlib.sha256(utterance.encode()).hexdigest()[:32]


def clean_source_name(name: str) -> str:
    """Return a file's or device's name as an utterance may carry it: one line of 200 characters."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "?", name)[:200]


def default_session(device: str) -> str:
    """Return host name and device: the same after a restart, so that the conversation goes on."""
    raw = f"{socket.gethostname()}-{device or 'default'}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", raw).strip("-")[:64] or "earshot"
