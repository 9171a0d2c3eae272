"""The figures of a run, as a table for people."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]


def sum_up(result: dict[str, Any]) -> list[Row]:
    """Return one row for each detector and preset, over all noises and SNRs."""
    from_noise: dict[tuple[str, str], int] = defaultdict(int)
    for row in result["noise_alone"]:
        from_noise[row["detector"], row["preset"]] += row["false_utterances"]
    return [
        {
            "detector": detector,
            "preset": preset,
            "turns": _sum(rows, "turns"),
            "missed": _sum(rows, "missed"),
            "of them too short": _sum(rows, "too_short"),
            "false": _sum(rows, "false_utterances"),
            "from noise alone": from_noise[detector, preset],
            "clipped onsets": sum(row["clipped_onset_ms"]["clipped"] for row in rows),
            "clipped tails": sum(row["clipped_tail_ms"]["clipped"] for row in rows),
            "without a short part": _sum(rows, "parts_too_short"),
            "cut off": _sum(rows, "false_cut_offs"),
            "run together": _sum(rows, "run_together"),
            "delay ms": _median(row["delay_ms"]["p50"] for row in rows),
            **_sum_up_words(rows),
        }
        for (detector, preset), rows in _group(result["rows"]).items()
    ]


def sum_up_folder(result: dict[str, Any]) -> list[Row]:
    """Return one row for each detector and preset, over the files of a folder."""
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
            **_sum_up_folder_words(rows),
        }
        for (detector, preset), rows in _group(result["rows"]).items()
    ]


def _group(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    grouped: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["detector"], row["preset"]].append(row)
    return grouped


def _sum_up_folder_words(rows: list[Row]) -> Row:
    columns = {
        "words": "words",
        "word errors": "word_errors",
        "perfectly cut": "word_errors_perfectly_cut",
    }
    return {
        column: _sum(rows, name)
        for column, name in columns.items()
        if any(name in row for row in rows)
    }


def format_table(rows: list[Row]) -> str:
    """Format the rows with their names as the first line; a cell without a value stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_format_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _sum_up_words(rows: list[Row]) -> Row:
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


def _format_cell(value: object) -> str:
    return "" if value is None else str(value)
