"""Which models one process has among several that read the same events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.decoding import Decoded
from streams.partitioner import partition_of


@dataclass(frozen=True, slots=True)
class Share:
    """The models of process `number` (from 0) among `processes`. The first has what cannot be decoded as well."""

    number: int = 0
    processes: int = 1

    def has(self, model: str) -> bool:
        """Whether a model belongs to this process."""
        return partition_of(model, self.processes) == self.number

    def of(self, decoded: Decoded, misplaced_in: tuple[int, int] | None = None) -> Decoded:
        """What is this process's own.

        `misplaced_in`, a partition and how many there are: also what is misplaced there, whosever it is.
        """
        if self.processes == 1:
            return decoded
        if misplaced_in is None:
            return decoded.only(self.has, refused=self.number == 0)
        partition, count = misplaced_in

        def concerns(model: str) -> bool:
            return self.has(model) or partition_of(model, count) != partition

        return decoded.only(concerns, refused=self.number == 0)


#: Where there is but one process.
ALL: Final = Share()
