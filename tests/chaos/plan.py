"""Which faults a run has, in which order, by its seed. When exactly they strike is left to the machine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum


class Fault(StrEnum):
    """What can go wrong; the values are the names in the figures."""

    KILL = "worker killed, disk kept"
    KILL_AND_WIPE = "worker killed, disk wiped"
    KILL_IN_COMMIT = "worker killed between transaction and RocksDB"
    ZOMBIE = "worker frozen past the session timeout"
    TERMINATE = "worker stopped by SIGTERM"
    SCALE = "workers 1 -> 3 or 3 -> 1"
    BROKER_KILL = "broker killed and restarted"
    BROKER_FREEZE = "broker frozen for 5 s"


#: Those that end in a SIGKILL of a worker.
KILLS = (Fault.KILL, Fault.KILL_AND_WIPE, Fault.KILL_IN_COMMIT)

BROKER_FAULTS = (Fault.BROKER_KILL, Fault.BROKER_FREEZE)

#: What a test has a minute for.
SHORT = (Fault.KILL, Fault.SCALE, Fault.KILL_IN_COMMIT, Fault.ZOMBIE, Fault.KILL_AND_WIPE)


def plan(seed: int, kills: int, broker_faults: bool) -> Sequence[Fault]:
    """`kills` SIGKILLs of workers of all three kinds, other faults in proportion, shuffled.

    For 30 kills: 6 zombies, 6 SIGTERMs, 8 changes of the number of workers, 5 broker kills, 3 frozen brokers.
    """
    faults = [KILLS[number % len(KILLS)] for number in range(kills)]
    share = {Fault.ZOMBIE: 5, Fault.TERMINATE: 5, Fault.SCALE: 4}
    if broker_faults:
        share |= {Fault.BROKER_KILL: 6, Fault.BROKER_FREEZE: 10}
    for fault, kills_each in share.items():
        faults += [fault] * max(1, round(kills / kills_each))
    random.Random(seed).shuffle(faults)
    return faults
