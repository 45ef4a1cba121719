"""`visutility worker` that kills itself while it takes events from topics of others.

DIE is "open" (the transaction's records are written, and it is not committed) or "committed" (nothing is done after the
commit); AT says in which transaction of the process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from itertools import count

from faust.types import TP

from agents.cli.main import main
from streams.changed import Changes
from streams.outbox import TransactionalOutbox
from streams.records import Forward, Output

_transactions = count(1)
_publish = TransactionalOutbox.publish


async def _publish_and_die(
    outbox: TransactionalOutbox, changes: Changes, outputs: Sequence[Output | Forward], offsets: Mapping[TP, int]
) -> int | None:
    dying = outbox._group.endswith("inputs") and next(_transactions) == int(os.environ["AT"])
    if dying and os.environ["DIE"] == "open":

        async def die() -> None:
            await outbox._producer.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        outbox._producer.commit_transaction = die
    position = await _publish(outbox, changes, outputs, offsets)
    if dying:
        os.kill(os.getpid(), signal.SIGKILL)
    return position


TransactionalOutbox.publish = _publish_and_die  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    main()
