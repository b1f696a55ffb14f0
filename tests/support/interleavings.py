"""Visits every interleaving of the calls that several programs make.

A program is a coroutine that awaits nothing but `Call`s. It must be deterministic: the same answers
lead to the same next call. So its state is the list of its answers, and the real code runs once for
each such list, however many interleavings lead there. States are visited once, the nearest first.

At each call a program may die, before the call or after it; some are then started again. Or the
call may be carried out twice, as the SDK does after an answer that was lost. `mishaps` bounds how
often.
"""

from collections import deque
from collections.abc import Callable, Collection, Coroutine, Generator, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Store = TypeVar("Store", bound=Hashable)
Answer = str
Program = Callable[[], Coroutine[Any, Any, object]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a service: its operation and its arguments, in a form that can be compared."""

    operation: str
    arguments: str

    def __await__(self) -> Generator["Call", Answer, Answer]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class Ended:
    """A program has returned a result, or died: then the result is None."""

    result: object


Reached = tuple[str, tuple[Answer, ...]] | Ended
"""How far a program is: its name and its answers so far, or its end."""
State = tuple[int, ...]
"""The numbers of the store and of how far each program is, then how many mishaps may happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Generic[Store]):
    """A moment between two calls."""

    store: Store
    results: Mapping[str, object]
    """The results of the programs that have ended."""
    at_rest: bool
    """Whether all programs have ended."""
    mishaps: int
    """How many more mishaps may happen."""
    path: Callable[[], list[str]]
    """List the shortest way to this moment."""


class Numbers:
    """Numbers values, so that states are compared fast."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def of(self, value: Hashable) -> int:
        """Return the number of a value."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class Interleavings(Generic[Store]):
    """The programs by name, and `carry`, which returns a store after a call, and the answer.

    Programs that are `restarted` begin again after their death.
    """

    def __init__(
        self,
        programs: Mapping[str, Program],
        carry: Callable[[Store, Call], tuple[Store, Answer]],
        *,
        restarted: Collection[str] = (),
    ) -> None:
        self._restarted = restarted
        self._programs = programs
        self._carry = carry
        self._numbers = Numbers()
        self._calls: dict[int, Call | None] = {}
        self._places: dict[Reached, int] = {}
        self._steps: dict[tuple[int, int], list[tuple[str, int, int, int]]] = {}

    def visits(self, store: Store, *, mishaps: int) -> Iterator[Visit[Store]]:
        """Visit every state that can be reached from a store."""
        begun = (self._reach((name, ())) for name in self._programs)
        first = (self._numbers.of(store), *begun, mishaps)
        ways: dict[State, tuple[State, str] | None] = {first: None}
        queue = deque([first])
        while queue:
            state = queue.popleft()
            yield self._visit(state, ways)
            for label, following in self._following(state):
                if following not in ways:
                    ways[following] = (state, label)
                    queue.append(following)

    def _visit(self, state: State, ways: Mapping[State, tuple[State, str] | None]) -> Visit[Store]:
        places = zip(self._programs, state[1:-1], strict=True)
        results = {
            name: self._numbers.values[place].result
            for name, place in places
            if self._calls[place] is None
        }

        def path() -> list[str]:
            labels, here = [], ways[state]
            while here is not None:
                before, label = here
                labels.append(label)
                here = ways[before]
            return labels[::-1]

        return Visit(
            store=self._numbers.values[state[0]],
            results=results,
            at_rest=len(results) == len(self._programs),
            mishaps=state[-1],
            path=path,
        )

    def _following(self, state: State) -> Iterator[tuple[str, State]]:
        """List everything that may happen next."""
        for place, name in enumerate(self._programs, start=1):
            for what, store, reached, cost in self._after(state[0], state[place]):
                if cost <= state[-1]:
                    others = (*state[1:place], reached, *state[place + 1 : -1])
                    yield f"{name}: {what}", (store, *others, state[-1] - cost)

    def _after(self, store: int, place: int) -> list[tuple[str, int, int, int]]:
        """List what a program may do: a label, the store, how far it is then, and mishaps."""
        call = self._calls[place]
        if call is None:
            return []
        if (store, place) not in self._steps:
            name, answers = self._numbers.values[place]
            once, first = self._carry(self._numbers.values[store], call)
            twice, second = self._carry(once, call)
            self._steps[store, place] = [
                (call.operation, self._numbers.of(once), self._reach((name, (*answers, first))), 0),
                ("dies", store, self._dead(name), 1),
                (
                    f"{call.operation} twice",
                    self._numbers.of(twice),
                    self._reach((name, (*answers, second))),
                    1,
                ),
            ]
        return self._steps[store, place]

    def _dead(self, name: str) -> int:
        """Return the number of how far a program is after its death."""
        if name in self._restarted:
            return self._reach((name, ()))
        place = self._numbers.of(Ended(None))
        self._calls[place] = None
        return place

    def _reach(self, reached: tuple[str, tuple[Answer, ...]]) -> int:
        """Return the number of how far a program is; run it if no other way led there."""
        if reached not in self._places:
            name, answers = reached
            follows = _run(self._programs[name](), answers)
            ended = isinstance(follows, Ended)  # then its answers no longer matter
            place = self._places[reached] = self._numbers.of(follows if ended else reached)
            self._calls[place] = None if isinstance(follows, Ended) else follows
        return self._places[reached]


def _run(program: Coroutine[Any, Any, object], answers: tuple[Answer, ...]) -> Call | Ended:
    """Run a program from its beginning with these answers."""
    try:
        call = program.send(None)
        for answer in answers:
            call = program.send(answer)
    except StopIteration as end:
        return Ended(end.value)
    program.close()
    assert isinstance(call, Call), f"the program waits for {call}"
    return call
