"""Evaluates CloudWatch's metric math, limited to the functions that the templates use.

Source: the CloudWatch user guide, "Using math expressions with CloudWatch metrics". A late or
missing point is None; docstrings quote the guide's rules for such points. Python's own parser reads
the expressions; only the functions listed here are evaluated.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

Series = tuple[float | None, ...]
"""The points of a metric, one per period, oldest first; None for a missing point."""

_OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}


class UnknownMath(Exception):
    """An expression uses a function or operator that this module does not implement."""


@dataclass(frozen=True, slots=True)
class Query:
    """One entry of `Metrics`: a metric by name, or an expression over earlier entries."""

    id: str
    metric: str | None = None
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric worked out from others; alarms and policies use the last query."""

    queries: tuple[Query, ...]

    @classmethod
    def single(cls, name: str) -> "Metric":
        """Return one metric without any math."""
        return cls((Query("m", metric=name),))

    @classmethod
    def read(cls, queries: Sequence[Mapping[str, Any]]) -> "Metric":
        """Read the `Metrics` of an alarm or policy; a query must come before those that use it."""
        ordered = sorted(queries, key=lambda query: bool(query.get("ReturnData", True)))
        return cls(
            tuple(
                Query(
                    query["Id"],
                    metric=query.get("MetricStat", {}).get("Metric", {}).get("MetricName"),
                    expression=query.get("Expression"),
                )
                for query in ordered
            )
        )

    def series(self, measured: Sequence[Mapping[str, float]]) -> Series:
        """Work out the point of each period, None where there is none.

        `measured` holds AWS's values by metric name for each period, oldest first; a missing name
        has no point. Raises `UnknownMath`.
        """
        values: dict[str, Series] = {}
        for query in self.queries:
            if query.metric is not None:
                values[query.id] = tuple(one.get(query.metric) for one in measured)
                continue
            value = _evaluate(_parsed(query.expression or ""), values)
            if not isinstance(value, tuple):
                raise UnknownMath(f"{query.expression}: CloudWatch wants a series, not a number")
            values[query.id] = value
        return values[self.queries[-1].id]


@cache
def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise UnknownMath(expression) from error


def _evaluate(  # noqa: PLR0911 - a table, one return a kind of expression
    node: ast.expr, values: Mapping[str, Series]
) -> Series | float:
    def of(part: ast.expr) -> Series | float:
        return _evaluate(part, values)

    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left, kind, right) if type(kind) in _OPERATORS:
            return _combined(_OPERATORS[type(kind)], of(left), of(right))
        case ast.Compare(left, [kind], [right]) if type(kind) in _OPERATORS:
            return _combined(_OPERATORS[type(kind)], of(left), of(right))
        case ast.Call(ast.Name("IF"), [test, yes]):
            return _chosen(of(test), of(yes), None)
        case ast.Call(ast.Name("IF"), [test, yes, no]):
            return _chosen(of(test), of(yes), of(no))
        case ast.Call(ast.Name("FILL"), [filled, ast.Name("REPEAT")]):
            return _repeated(of(filled))
        case ast.Call(ast.Name("FILL"), [filled, by]):
            return _filled(of(filled), of(by))
    raise UnknownMath(ast.unparse(node))


def _combined(
    operation: Callable[[float, float], float], one: Series | float, other: Series | float
) -> Series | float:
    """Calculate or compare point by point; a comparison gives 1 or 0.

    "Missing values in a time series are treated as 0". For a comparison: "when only one of the
    time series has a value for a particular time stamp, the function treats the missing value in
    the other time series as 0". So there is a point where either series has one. A number has no
    time stamps: with a number there is a point where the series has one. "If the value of a data
    point causes a function to attempt to divide by zero, the data point is dropped".
    """
    if not isinstance(one, tuple) and not isinstance(other, tuple):
        return float(operation(one, other))

    def point(left: float | None, right: float | None) -> float | None:
        if left is None and right is None:
            return None
        try:
            return float(operation(left or 0.0, right or 0.0))
        except ZeroDivisionError:
            return None

    if not isinstance(other, tuple):
        return tuple(None if left is None else point(left, other) for left in _points(one))
    if not isinstance(one, tuple):
        return tuple(None if right is None else point(one, right) for right in other)
    return tuple(point(left, right) for left, right in zip(one, other, strict=True))


def _chosen(test: Series | float, yes: Series | float, no: Series | float | None) -> Series:
    """Choose point by point, as the tables in "Using IF expressions" say.

    A missing condition gives no point. A true condition gives the first value, or 0 if that is
    missing. A false one gives the second value, or no point if that is missing or left out.
    """
    points = _points(test)
    return tuple(
        None if one is None else (_at(yes, number) or 0.0) if one else _at(no, number)
        for number, one in enumerate(points)
    )


def _repeated(series: Series | float) -> Series:
    """Fill a missing point with the last one before it; leading ones stay missing."""
    last: float | None = None
    filled = []
    for point in _points(series):
        last = last if point is None else point
        filled.append(last)
    return tuple(filled)


def _filled(series: Series | float, by: Series | float) -> Series:
    """Fill every missing point, including the newest period's.

    "The most recent minute never has data. In this case, FILL replaces that missing data point
    with the requested value. That causes the latest data point for the metric to always be the
    FILL value."
    """
    return tuple(
        _at(by, number) if point is None else point for number, point in enumerate(_points(series))
    )


def _points(value: Series | float) -> Series:
    if not isinstance(value, tuple):
        raise UnknownMath(f"{value:g} is a number, and CloudWatch wants a series here")
    return value


def _at(value: Series | float | None, number: int) -> float | None:
    return value[number] if isinstance(value, tuple) else value
