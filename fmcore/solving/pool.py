"""Numbers for memory: handed out, taken back, handed out again."""

from __future__ import annotations

__all__ = ["Pool"]


class Pool:
    """Numbers from 0 on; one that was put back is taken before a new one.  `size` counts them."""

    def __init__(self) -> None:
        self.size = 0
        self._free: list[int] = []

    def take(self) -> int:
        """A number that nobody has."""
        if self._free:
            return self._free.pop()
        self.size += 1
        return self.size - 1

    def put(self, number: int) -> None:
        """Give a number back."""
        self._free.append(number)
