"""Takes turns between rows and columns, so that neither a full row nor a full column blocks the others.

Every item that waits belongs to a row, which is a namespace, and a column, which is a Promise: somebody may have a
thousand requests in one namespace, and the requests of one slow Promise may come from a thousand namespaces. Turns
alternate. In one turn the rows rotate, and within a row its columns; in the next turn the columns rotate, and within a
column its rows. The two rotations are independent, so each of them keeps its own promise:

* an item that waits alone in its row and its column is served after ``2 * min(rows, columns) + 1`` turns at most;
* any other place (a row and a column together) is served within twice the number of rows times the columns of its
  row, and within twice the number of columns times the rows of its column, whatever is added meanwhile.

Within a place it is first come, first served. A new place is put before the place that was served last: otherwise one
request that was mended, among two hundred that hang, would have to wait for two turns of theirs.

Rejected: *one rotation of rows* (a slow Promise that is used from two hundred namespaces has two hundred of two
hundred and one turns); *one order by the last turn* (an item that shares its row with one crowd and its column with
another always counts as served just now, and starves); *an order by how much was used* (it has the same problem, and
what a turn costs is only known when it is over).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)
R = TypeVar("R", bound=Hashable)
C = TypeVar("C", bound=Hashable)
Outer = TypeVar("Outer", bound=Hashable)
Inner = TypeVar("Inner", bound=Hashable)


class _Rotation(Generic[Outer, Inner]):
    """Outer names that take turns, and for each of them inner names that do."""

    def __init__(self) -> None:
        self._order: OrderedDict[Outer, OrderedDict[Inner, None]] = OrderedDict()
        self._last: tuple[Outer, Inner] | None = None  # the names that had the last turn

    def add(self, outer: Outer, inner: Inner) -> None:
        """Puts a name at the end, but before the one that had the last turn, which would else have two in a row."""
        is_new = outer not in self._order
        within = self._order.setdefault(outer, OrderedDict())
        within.setdefault(inner, None)
        if self._last is None:
            return
        last_outer, last_inner = self._last
        if is_new and last_outer in self._order:
            self._order.move_to_end(last_outer)
        elif last_outer == outer and last_inner in within:
            within.move_to_end(last_inner)

    def drop(self, outer: Outer, inner: Inner) -> None:
        within = self._order[outer]
        del within[inner]
        if not within:
            del self._order[outer]

    def advance(self, admits: Callable[[Outer, Inner], bool] | None) -> tuple[Outer, Inner] | None:
        """The names whose turn is next, among those that are admitted. The others keep their places in front."""
        for outer, within in self._order.items():
            for inner in within:
                if admits is None or admits(outer, inner):
                    within.move_to_end(inner)
                    self._order.move_to_end(outer)
                    self._last = (outer, inner)
                    return outer, inner
        return None


class Turns(Generic[T, R, C]):
    """Items that wait, each in a row and a column, and the order in which they are served."""

    def __init__(self) -> None:
        self._places: dict[tuple[R, C], OrderedDict[T, None]] = {}
        self._rows: _Rotation[R, C] = _Rotation()
        self._columns: _Rotation[C, R] = _Rotation()
        self._by_column = False
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, item: T, row: R, column: C) -> None:
        """Adds an item that does not wait yet, after the other items of its place."""
        items = self._places.get((row, column))
        if items is None:
            items = self._places[row, column] = OrderedDict()
            self._rows.add(row, column)
            self._columns.add(column, row)
        items[item] = None
        self._length += 1

    def remove(self, item: T, row: R, column: C) -> bool:
        """Removes an item. Returns whether it was there."""
        items = self._places.get((row, column))
        if items is None or item not in items:
            return False
        del items[item]
        self._left(items, row, column)
        return True

    def take(self, admits: Callable[[R, C], bool] | None = None) -> T | None:
        """Removes and returns the item whose turn it is; None when no item is admitted.

        Args:
            admits: says whether a row and a column may have a turn now; None admits all.
        """
        place = self._next(admits)
        if place is None:
            return None
        items = self._places[place]
        item, _ = items.popitem(last=False)
        self._left(items, *place)
        return item

    def take_place(self, row: R, column: C) -> list[T]:
        """Removes and returns all items of one place."""
        items = self._places.get((row, column), OrderedDict())
        found = list(items)
        for item in found:
            self.remove(item, row, column)
        return found

    def position(self, item: T, row: R, column: C) -> int | None:
        """How many items are before an item in its own place; None when it does not wait."""
        items = self._places.get((row, column))
        if items is None or item not in items:
            return None
        return next(number for number, other in enumerate(items) if other is item or other == item)

    def sizes(self) -> Iterator[tuple[R, C, int]]:
        """The number of items that wait in each place, with its row and column."""
        for (row, column), items in self._places.items():
            yield row, column, len(items)

    def __iter__(self) -> Iterator[T]:
        """The items that wait, place by place."""
        for items in self._places.values():
            yield from items

    def _next(self, admits: Callable[[R, C], bool] | None) -> tuple[R, C] | None:
        self._by_column = not self._by_column
        if not self._by_column:
            return self._rows.advance(admits)
        turned = self._columns.advance((lambda column, row: admits(row, column)) if admits else None)
        return (turned[1], turned[0]) if turned else None

    def _left(self, items: OrderedDict[T, None], row: R, column: C) -> None:
        self._length -= 1
        if not items:
            del self._places[row, column]
            self._rows.drop(row, column)
            self._columns.drop(column, row)
