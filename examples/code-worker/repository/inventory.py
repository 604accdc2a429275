"""Stock of a small shop."""


class OutOfStock(Exception):
    """There is less of an item than was asked for."""


class Inventory:
    """How much there is of each item."""

    def __init__(self):
        self._counts = {}

    def add(self, item, count):
        """Puts `count` of an item on the shelf."""
        if count <= 0:
            raise ValueError("count must be positive")
        self._counts[item] = self._counts.get(item, 0) + count

    def take(self, item, count):
        """Takes `count` of an item off the shelf."""
        if self._counts.get(item, 0) <= count:
            raise OutOfStock(item)
        self._counts[item] -= count

    def count(self, item):
        """How much of an item there is."""
        return self._counts.get(item, 0)
