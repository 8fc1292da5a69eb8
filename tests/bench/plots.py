"""Plots beside the report, as small SVG files whose text is text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

FOLDER = "plots"
SIZE = (7.0, 3.4)
NO_LIBRARY = "(no plot: the extra `bench` is not installed)"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot by its name; `svg` is empty where the library is not installed."""

    name: str
    title: str
    svg: str

    @property
    def markdown(self) -> str:
        """What shows it in the report."""
        return f"![{self.title}]({FOLDER}/{self.name}.svg)" if self.svg else NO_LIBRARY


def bars(
    name: str, title: str, unit: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]
) -> Plot:
    """Groups of bars, from zero upwards."""

    def draw(axes: Any) -> None:
        width = 0.8 / len(series)
        for place, (label, values) in enumerate(series.items()):
            here = [group + (place - (len(series) - 1) / 2) * width for group in range(len(groups))]
            axes.bar(here, values, width, label=label)
        axes.set_xticks(range(len(groups)), groups)

    return _drawn(name, title, ("", unit), draw)


def lines(
    name: str,
    title: str,
    axes_names: tuple[str, str],
    series: Mapping[str, Sequence[tuple[float, float]]],
    logarithmic: bool = False,
) -> Plot:
    """Lines through points, from zero upwards."""

    def draw(axes: Any) -> None:
        for label, points in series.items():
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=label)
        axes.set_xscale("log" if logarithmic else "linear")
        axes.set_ylim(bottom=0)

    return _drawn(name, title, axes_names, draw)


def _drawn(name: str, title: str, axes_names: tuple[str, str], draw: Any) -> Plot:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        return Plot(name, title, "")
    # Text as text, and the same file for the same numbers.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 8}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set(title=title, xlabel=axes_names[0], ylabel=axes_names[1])
        axes.grid(visible=True, axis="y", linewidth=0.3)
        axes.legend(frameon=False, fontsize=7)
        written = StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return Plot(name, title, "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines()))
