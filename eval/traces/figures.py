"""What a measurement consists of: figures that carry how many observations they rest on, and what was not known."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

__all__ = [
    "HEADER",
    "Distribution",
    "Figures",
    "Interval",
    "Share",
    "distribution_rows",
    "number",
    "p_value",
    "percent",
    "seconds",
]


class Figures(BaseModel):
    """Base of every group of figures: immutable, JSON-able, nothing undeclared."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="null")


class Interval(Figures):
    """An estimate with its 95% interval; null ends where no interval can be said."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    """Observations."""
    clusters: int | None = None
    """Independent groups of observations (tasks) that the interval rests on."""

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return number(self.value)
        return f"{number(self.value)} [{number(self.low)}, {number(self.high)}]"


class Share(Figures):
    """A part of a whole."""

    part: float
    whole: float
    n: int
    """Observations that the whole consists of."""

    @property
    def value(self) -> float | None:
        """The share; null where there is no whole."""
        return self.part / self.whole if self.whole else None

    def __str__(self) -> str:
        return percent(self.value)


class Distribution(Figures):
    """A quantity over its units. Null figures where no unit is known; quantiles interpolate linearly."""

    n: int
    """Units whose value is known."""
    unknown: int
    """Units whose value is not known; they enter no figure."""
    mean: float | None = None
    low: float | None = None
    """95% interval of the mean, clustered by task (or by episode where no task repeats)."""
    high: float | None = None
    clusters: int | None = None
    sd: float | None = None
    smallest: float | None = None
    p25: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    largest: float | None = None
    total: float | None = None

    @property
    def least(self) -> float | None:
        """The lower end of the interval, not below 0 where no unit is."""
        return max(self.low, 0.0) if self.low is not None and (self.smallest or 0.0) >= 0 else self.low

    def cells(self, scale: float = 1.0) -> tuple[str, ...]:
        """The cells of a row of `HEADER`."""
        return tuple(self._cell(name, scale) for name in ("mean", "low", "p25", "p50", "p90", "p99", "largest"))

    def _cell(self, name: str, scale: float) -> str:
        if name == "low":
            least = self.least
            if least is None or self.high is None:
                return "-"
            return f"{number(least * scale)} to {number(self.high * scale)}"
        value: float | None = getattr(self, name)
        return "-" if value is None else number(value * scale)


HEADER = ("mean", "95% interval of the mean", "P25", "median", "P90", "P99", "largest")
"""Columns that `Distribution.cells` fills."""


def distribution_rows(
    found: Mapping[str, Distribution], names: Sequence[tuple[str, str, float]]
) -> tuple[tuple[object, ...], ...]:
    """Rows (label, n, unknown, cells …) of those `(key, label, scale)` that are known for some unit."""
    return tuple(
        (label, f"{found[key].n:,}", f"{found[key].unknown:,}", *found[key].cells(scale))
        for key, label, scale in names
        if key in found and found[key].n
    )


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; whole numbers as they are."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.2g}"


def p_value(value: float | None) -> str:
    """Three digits, or that it is less."""
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(value: float | None) -> str:
    """With one digit."""
    return "-" if value is None else f"{100 * value:.1f}%"


def seconds(value: float | None) -> str:
    """A duration in the unit that fits: ms, s, min or h."""
    if value is None:
        return "-"
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if abs(value) >= size:
            return f"{value / size:.1f} {unit}"
    return f"{1000 * value:.0f} ms"
