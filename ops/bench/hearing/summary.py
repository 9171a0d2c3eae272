"""The figures of a run in a table for people."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]


def totals(result: dict[str, Any]) -> list[Row]:
    """One row per detector and preset over all noises and SNRs, and one over the noise alone."""
    grouped: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in result["rows"]:
        grouped[row["detector"], row["preset"]].append(row)
    alone: dict[tuple[str, str], int] = defaultdict(int)
    for row in result["noise_alone"]:
        alone[row["detector"], row["preset"]] += row["false_utterances"]
    return [
        {
            "detector": detector,
            "preset": preset,
            "turns": _sum(rows, "turns"),
            "missed": _sum(rows, "missed"),
            "of them too short": _sum(rows, "too_short"),
            "false": _sum(rows, "false_utterances"),
            "from noise alone": alone[detector, preset],
            "clipped onsets": sum(row["clipped_onset_ms"]["clipped"] for row in rows),
            "clipped tails": sum(row["clipped_tail_ms"]["clipped"] for row in rows),
            "lack a short part": _sum(rows, "parts_too_short"),
            "cut off": _sum(rows, "false_cut_offs"),
            "run together": _sum(rows, "run_together"),
            "delay ms": _median(row["delay_ms"]["p50"] for row in rows),
            **_wer(rows),
        }
        for (detector, preset), rows in grouped.items()
    ]


def folder_totals(result: dict[str, Any]) -> list[Row]:
    """One row per detector and preset over a folder's files."""
    grouped: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in result["rows"]:
        grouped[row["detector"], row["preset"]].append(row)
    return [
        {
            "detector": detector,
            "preset": preset,
            "files": len(rows),
            "files without an utterance": sum(not row["utterances"] for row in rows),
            "utterances": _sum(rows, "utterances"),
            "skipped": _sum(rows, "skipped"),
            "missed turns": _sum(rows, "missed"),
            "false": _sum(rows, "false_utterances"),
            **_folder_words(rows),
        }
        for (detector, preset), rows in grouped.items()
    ]


def _folder_words(rows: list[Row]) -> Row:
    counted = {"words": "words", "word errors": "word_errors"}
    counted["perfectly cut"] = "word_errors_perfectly_cut"
    return {
        shown: _sum(rows, name)
        for shown, name in counted.items()
        if any(name in row for row in rows)
    }


def table(rows: list[Row]) -> str:
    """Columns as wide as they need to be; empty where nothing was measured."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _wer(rows: list[Row]) -> Row:
    counted = [row for row in rows if "wer" in row]
    clean = [row for row in counted if row["snr_db"] is None]
    noisy = [row for row in counted if row["snr_db"] is not None]
    return {
        f"{name} {where} %": _rate(some, key)
        for where, some in (("clean", clean), ("noisy", noisy))
        for name, key in (("WER", "wer"), ("perfectly cut", "wer_perfectly_cut"))
        if some
    }


def _rate(rows: list[Row], name: str) -> float:
    words = _sum(rows, "words")
    return round(100 * sum(row[name] * row["words"] for row in rows) / words, 1) if words else 0.0


def _sum(rows: list[Row], name: str) -> int:
    return sum(row.get(name, 0) for row in rows)


def _median(values: Iterable[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None


def _shown(value: object) -> str:
    return "" if value is None else str(value)
