"""What was measured, against its goal and against others; tables for a terminal and for the README."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

BEGIN: Final = "<!-- bench -->"
END: Final = "<!-- /bench -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. The median of `values` is compared: a figure is good when it is at most `goal`.

    `peers` are figures of other programs for the same, in the same unit.
    """

    name: str
    values: tuple[float, ...]
    unit: str
    goal: float | None = None
    peers: tuple[tuple[str, float], ...] = ()
    digits: int = 2

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def good(self) -> bool:
        """Whether the goal is reached; True where there is none."""
        return self.goal is None or self.value <= self.goal

    def number(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:,.{self.digits}f}{f' {self.unit}' if self.unit else ''}"

    @property
    def spread(self) -> str:
        """Smallest and largest of several values."""
        if len(self.values) < 2 or min(self.values) == max(self.values):
            return ""
        return f"{min(self.values):,.{self.digits}f} to {max(self.values):,.{self.digits}f}"

    @property
    def against_goal(self) -> str:
        """The goal, and how much of it is used."""
        if self.goal is None:
            return ""
        share = f", {self.value / self.goal:.2f} ×" if self.goal else ""
        return f"≤ {self.number(self.goal)}{share}{'' if self.good else ' **missed**'}"

    @property
    def against_peers(self) -> str:
        """Others' figures, with how many times ours they are."""
        told = []
        for name, value in self.peers:
            times = f" ({value / self.value:.1f} ×)" if self.value else ""
            told.append(f"{name} {value:,.{self.digits if value < 10 else 0}f}{times}")
        return ", ".join(told)


COLUMNS: Final[tuple[tuple[str, Callable[[Figure], str]], ...]] = (
    ("Measured", lambda figure: figure.name),
    ("Dockrev", lambda figure: figure.number(figure.value)),
    ("from … to", lambda figure: figure.spread),
    ("goal, share of it", lambda figure: figure.against_goal),
    ("others on the same rig", lambda figure: figure.against_peers),
)


def markdown(figures: Sequence[Figure]) -> str:
    """The table for the README."""
    lines = [" | ".join(title for title, _ in COLUMNS), " | ".join("---" for _ in COLUMNS)]
    lines += [" | ".join(cell(figure) for _, cell in COLUMNS) for figure in figures]
    return "\n".join(f"| {line} |" for line in lines)


def plain(figures: Sequence[Figure]) -> str:
    """The table for a terminal: columns as wide as they need to be, without others' figures."""
    shown = COLUMNS[:4]
    rows = [
        [title for title, _ in shown],
        *([cell(figure).replace("**", "") for _, cell in shown] for figure in figures),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(shown))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def put_between_marks(document: str, text: str) -> str:
    """The document with `text` between the marks. Raises ValueError when the marks are not there."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks {BEGIN} and {END} are missing")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"
