"""`visutility worker` that kills itself at the worst moment: after a transaction, before RocksDB has it.

DIE_AT names which commit of the process; the arguments are the console command's.
"""

from __future__ import annotations

import os
import signal
from itertools import count

from agents.cli.main import main
from streams.store import OverlayStore

_commits = count(1)
_settle = OverlayStore.settle


def _die_or_settle(store: OverlayStore, partition: int, position: int | None) -> None:
    if next(_commits) == int(os.environ["DIE_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    _settle(store, partition, position)


OverlayStore.settle = _die_or_settle  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    main()
