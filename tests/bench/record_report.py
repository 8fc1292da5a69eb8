"""The report's section on what the access record costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from gateway.noted import LATEST

from .cells import Cell
from .chapters import is_met, table
from .cpu import Usage
from .load import Measure
from .record_costs import KNOWN, ROW, ROW_PLAIN, STEPS, UNRECORDED, WHOLE, RecordCosts

# Asked here of the one workload that is not measured beside the peers.
LEAST, AT_CLIENTS, ASKED_OF = 0.75, 16, "W6"
ABOUT = """Reads of others' personal data write an access record in the same statement, committed before the
answer is sent, with `synchronous_commit` on; a carrier's also look for the disclosures that are new, an
employee's count the customers of the day. Beside the gateway ran the same gateway with records off, which
only the benchmark can do: it puts another `recording_of` in the place of the product's, in that one process.
W1 and W5, customers with their own data, record nothing."""
HEAD = (
    "cell",
    "gateway, requests/s",
    "gateway, unrecorded",
    "gateway / unrecorded (lowest to highest)",
    "p50 recorded / unrecorded, ms",
    "processor time of the gateway / PostgreSQL, µs",
    "unrecorded",
)
STEPS_ABOUT = """One connection, the statement alone, each step beside the one before it; up to the last with
`synchronous_commit` off, so that the last shows what waiting for the disk adds. Every disclosure and every
customer of the day is written down already; without looking a worker knows that of whole pages alone: it
remembers the digests of the last {latest} that a statement showed a recipient or counted for an employee
(`gateway/noted.py`). A page among them is not looked up row by row (`{known}`), any other is (`{whole}`);
of a single row, as in W6, nothing is remembered. Every caller of this benchmark asks for the same page again,
which is the best case for it."""
PARTS_ABOUT = """Of the whole statement, by `EXPLAIN ANALYZE` (milliseconds, each with what it waits for: what
first asks for the rows holds the time of making them):"""


def record_cells(cells: Iterable[Cell]) -> list[Cell]:
    """The cells that were measured without records too."""
    return [cell for cell in cells if cell.unrecorded]


def record_said(cells: Sequence[Cell]) -> Iterator[str]:
    """The shares of all, and whether the target of the one it is asked of is met."""
    asked = [cell for cell in record_cells(cells) if cell.clients == AT_CLIENTS]
    if not asked:
        return
    ratios = {cell.workload: median(cell.recorded_ratios) for cell in asked}
    listed = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    said = (
        f"Recorded reads at {AT_CLIENTS} clients answer this share of what the same gateway answers with"
        f" nothing recorded: {listed}."
    )
    if ASKED_OF in ratios:
        end = is_met(ratios[ASKED_OF] >= LEAST)
        said += f" The target of {LEAST:g} is {end} by {ASKED_OF}; the others are judged beside the peers."
    yield said


def record_section(cells: Sequence[Cell], costs: RecordCosts | None) -> str:
    """The section in Markdown, without its heading; says so where nothing was measured."""
    found = record_cells(cells)
    if not found:
        return "No workload that records was measured."
    parts = [ABOUT.replace("\n", " "), table(HEAD, [_row(cell) for cell in found])]
    if costs is not None and costs.steps_us:
        names = list(costs.steps_us)
        parts += ["#### Where the cost goes", _steps_about()]
        parts += [table(("step, µs", *names), [_step(costs, step, names) for step in STEPS])]
        parts += [PARTS_ABOUT.replace("\n", " "), "\n".join(_parts(costs))]
    return "\n\n".join(parts)


def _steps_about() -> str:
    return STEPS_ABOUT.replace("\n", " ").format(latest=LATEST, known=KNOWN, whole=WHOLE)


def _row(cell: Cell) -> tuple[str, ...]:
    ratios = cell.recorded_ratios
    return (
        f"{cell.workload}, {cell.clients} client{'s' if cell.clients > 1 else ''}",
        f"{_rate(cell.gateway):,.0f}",
        f"{_rate(cell.unrecorded):,.0f}",
        f"**{median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{_middle(cell.gateway):.2f} / {_middle(cell.unrecorded):.2f}",
        _used(cell.gateway_used),
        _used(cell.unrecorded_used),
    )


def _step(costs: RecordCosts, step: str, names: Sequence[str]) -> tuple[str, ...]:
    cells = []
    for name in names:
        took = costs.steps_us[name]
        more = took[step] - took[UNRECORDED]
        cells.append(f"{took[step]:,.0f}" + ("" if step == UNRECORDED else f" ({more:+,.0f})"))
    label = {ROW: f"{ROW}, with its index", ROW_PLAIN: ROW_PLAIN}.get(step, step)
    return (label, *cells)


def _parts(costs: RecordCosts) -> Iterator[str]:
    for name, parts in costs.parts.items():
        listed = ", ".join(
            f"`{part.name}` {part.took_ms:.2f}"
            + (f" ({part.wal_bytes:,} bytes of log)" if part.wal_bytes else "")
            for part in parts
        )
        yield f"- {name}: {listed}"


def _rate(measures: Sequence[Measure]) -> float:
    return median(measure.per_second for measure in measures)


def _middle(measures: Sequence[Measure]) -> float:
    return median(measure.median_ms for measure in measures)


def _used(usages: Sequence[Usage]) -> str:
    servers = [one.server for one in usages if one.server is not None]
    databases = [one.database for one in usages if one.database is not None]
    return " / ".join(f"{median(found):,.0f}" if found else "-" for found in (servers, databases))
