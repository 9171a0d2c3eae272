"""Metrics of speech to text. `common/telemetry/metrics.py` has those of turns."""

from typing import Final, Literal, get_args

from prometheus_client import Counter

Kind = Literal["phrase", "loop"]

INVENTED: Final = Counter(
    "earshot_stt_invented_total",
    "Text of the model that was dropped, because nobody said it, by `kind`: phrase (a stock phrase"
    " with weak evidence), loop (what repeats itself faster than anybody speaks).",
    ["kind"],
)

for _kind in get_args(Kind):
    INVENTED.labels(_kind)
