"""CloudWatch's metric math, as much of it as the scaling policies use. Numbers in, a number out.

Expressions are read by Python's own grammar; only what is listed here is carried out.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

_OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda one, other: one / other if other else math.nan,  # CloudWatch: no data
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}


class UnknownMath(Exception):
    """An expression holds something that this module does not know."""


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a metric's math: a metric by its name, or an expression over lines before."""

    id: str
    metric: str | None = None
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric worked out from others; the last line is what policies look at."""

    queries: tuple[Query, ...]

    @classmethod
    def single(cls, name: str) -> "Metric":
        """Look at one metric as it is."""
        return cls((Query("m", metric=name),))

    def value(self, measured: Mapping[str, float]) -> float:
        """Work it out; `measured` has what AWS measures, by the metrics' names.

        Raises `UnknownMath`.
        """
        values: dict[str, float] = {}
        for query in self.queries:
            if query.metric is not None:
                values[query.id] = measured[query.metric]
            else:
                values[query.id] = _evaluate(_parsed(query.expression or ""), values)
        return values[self.queries[-1].id]


@cache
def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise UnknownMath(expression) from error


def _evaluate(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left, kind, right) if type(kind) in _OPERATORS:
            return _OPERATORS[type(kind)](_evaluate(left, values), _evaluate(right, values))
        case ast.Compare(left, [kind], [right]) if type(kind) in _OPERATORS:
            return float(_OPERATORS[type(kind)](_evaluate(left, values), _evaluate(right, values)))
        case ast.Call(ast.Name("IF"), [test, yes, no]):
            return _evaluate(yes if _evaluate(test, values) else no, values)
        case ast.Call(ast.Name("FILL"), [filled, _]):
            return _evaluate(filled, values)  # nothing is missing in a simulation
    raise UnknownMath(ast.unparse(node))
