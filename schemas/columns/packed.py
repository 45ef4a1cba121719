"""Values that lie in one text, as a file's lines do: cut out only where somebody looks at one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, overload

from schemas.columns.columns import Integers
from schemas.columns.words import MARGIN, Bytes

#: Stands after the last value: kernels read in words, and know an end by a byte that no message holds.
PADDING: Final = b"\n" * (MARGIN + 1)


class PackedValues(Sequence[bytes]):
    """Parts of `text`, from each of `starts` to before its end, in their order.

    No value reaches into the last bytes of `text`, which are `PADDING` and stop whoever reads on. `text` is read-only:
    for what is not, kernels would be compiled anew.
    """

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: Bytes, starts: Integers, ends: Integers) -> None:
        self.text, self.starts, self.ends = text, starts, ends

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> PackedValues: ...
    def __getitem__(self, index: Any) -> bytes | PackedValues:
        if isinstance(index, slice):
            return PackedValues(self.text, self.starts[index], self.ends[index])
        return self.text[self.starts[index] : self.ends[index]].tobytes()

    def only(self, places: Any) -> PackedValues:
        """Those at some places, or where `places` is true."""
        return PackedValues(self.text, self.starts[places], self.ends[places])
