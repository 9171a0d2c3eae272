"""The table of metrics in docs/monitoring.md. `python -m ops.docs.metrics` writes it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

import common.status.backlog_metrics
import common.telemetry.metrics
import producer.shipping.outbox_metrics
import producer.telemetry.metrics
import workers.loop.metrics
import workers.stt.metrics

PATH: Final = Path(__file__).parents[2] / "docs" / "monitoring.md"

BEGIN: Final = "<!-- metrics: written by `python -m ops.docs.metrics` -->\n"
END: Final = "<!-- end of metrics -->\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One metric with its name in Prometheus. `kind` is counter, gauge or histogram."""

    name: str
    kind: str
    text: str
    who: str


def list_rows() -> Iterator[Row]:
    """Yield every metric of earshot."""
    yield from _rows(_defined(common.telemetry.metrics), "every role")
    yield from _rows(common.status.backlog_metrics.families(), "stt, llm")
    yield from _rows(_defined(workers.loop.metrics), "stt, llm")
    yield from _rows(_defined(workers.stt.metrics), "stt")
    yield from _rows(_defined(producer.telemetry.metrics), "listen")
    yield from _rows(_defined(producer.shipping.outbox_metrics), "listen, dashboard, jobs")
    yield from _rows(producer.shipping.outbox_metrics.families(), "listen")


def _defined(module: ModuleType) -> list[Metric]:
    return [
        family
        for value in vars(module).values()
        if isinstance(value, MetricWrapperBase)
        for family in value.describe()
    ]


def _rows(families: Iterable[Metric], who: str) -> Iterator[Row]:
    for family in families:
        suffix = "_total" if family.type == "counter" else ""
        yield Row(family.name + suffix, family.type, family.documentation, who)


def render(page: str) -> str:
    """Return the page with the present table. Raises ValueError if it has no place for it."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{PATH.name} needs the lines {BEGIN!r} and {END!r}")
    table = ["| metric | kind | of | |", "|---|---|---|---|"]
    table += [f"| `{row.name}` | {row.kind} | {row.who} | {row.text} |" for row in list_rows()]
    return before + BEGIN + "\n" + "\n".join(table) + "\n\n" + END + after


if __name__ == "__main__":
    PATH.write_text(render(PATH.read_text(encoding="utf-8")), encoding="utf-8")
