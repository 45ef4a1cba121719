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
    EXPIRE = "worker frozen in a transaction until it expired"
    SLOW = "step slower than the poll interval"
    DISK_FULL = "disk full under RocksDB"
    BROKER_KILL = "broker killed and restarted"
    BROKER_FREEZE = "broker frozen for 5 s"
    BROKER_AWAY = "broker away for more than 10 s"


#: Those that end in a SIGKILL of a worker.
KILLS = (Fault.KILL, Fault.KILL_AND_WIPE, Fault.KILL_IN_COMMIT)

BROKER_FAULTS = (Fault.BROKER_KILL, Fault.BROKER_FREEZE, Fault.BROKER_AWAY)

#: What a test has a minute for.
SHORT = (Fault.KILL_AND_WIPE, Fault.EXPIRE, Fault.KILL_IN_COMMIT, Fault.SCALE)


def plan(seed: int, kills: int, broker_faults: bool, disk_faults: bool = True) -> Sequence[Fault]:
    """`kills` SIGKILLs of workers of all three kinds, other faults in proportion, shuffled.

    For 30 kills: 6 zombies, 6 SIGTERMs, 8 changes of the number of workers, 3 expired transactions, 3 slow steps,
    3 full disks, 5 broker kills, 3 frozen brokers, 2 that are away for long.
    """
    faults = [KILLS[number % len(KILLS)] for number in range(kills)]
    share = {Fault.ZOMBIE: 5, Fault.TERMINATE: 5, Fault.SCALE: 4, Fault.EXPIRE: 10, Fault.SLOW: 10}
    if disk_faults:
        share[Fault.DISK_FULL] = 10
    if broker_faults:
        share |= {Fault.BROKER_KILL: 6, Fault.BROKER_FREEZE: 10, Fault.BROKER_AWAY: 15}
    for fault, kills_each in share.items():
        faults += [fault] * max(1, round(kills / kills_each))
    random.Random(seed).shuffle(faults)
    return faults
