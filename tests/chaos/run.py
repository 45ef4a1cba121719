"""One fault run: a fleet sends, workers work, faults strike; in the end the verifier tells whether anything shows."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from agents.settings import load_settings
from streams.brokers.jars import JarsBroker
from tests.chaos.broken_worker import WOKEN
from tests.chaos.disk import filled, small_disk
from tests.chaos.fleet import Fleet
from tests.chaos.plan import KILLS, Fault
from tests.chaos.poison import fragile_monitor
from tests.chaos.reading import behind, input_ends, read_everything
from tests.chaos.verifier import is_malformed, verify
from tests.chaos.workers import Workers
from tests.loop.driving import Cluster

#: Records a second that the fleet sends.
RATE = 300.0

#: Seconds: the workers' session timeout (tests.loop.driving), and for how long a frozen broker is silent.
SESSION, BROKER_SILENCE = 6.0, 5.0

#: Seconds for which a disk is full.
DISK_FULL_FOR = 8.0

#: After so many faults everything sent until then must be committed within so many seconds, else something hangs.
SETTLE_EVERY, SETTLE_TIMEOUT = 6, 90.0


@dataclass
class Figures:
    """What a run came to."""

    seed: int
    seconds: float = 0.0
    records: int = 0
    malformed: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    restarts: list[str] = field(default_factory=list)
    mended: int = 0
    compared: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people, one figure a line; the verdict comes last."""
        kills = sum(self.faults[fault] for fault in KILLS)
        outputs = ", ".join(f"{count} {topic}" for topic, count in self.compared.items())
        verdict = "nothing lost, nothing twice" if not self.problems else f"FAILED, {len(self.problems)} problems"
        return [
            *(f"problem: {problem[:1000]}" for problem in self.problems),
            f"seed: {self.seed}",
            f"records: {self.records}, of which {self.malformed} malformed or poison, in {self.seconds:.0f} s",
            f"faults: {self.faults.total()}, of which {kills} SIGKILLs of workers",
            *(f"  {self.faults[fault]:3} {fault}" for fault in Fault if self.faults[fault]),
            f"workers that gave up without broker or disk and were restarted: {len(self.restarts)}",
            f"partitions that workers themselves opened again after a failed transaction: {self.mended}",
            f"outputs compared: {outputs}",
            f"verdict: {verdict}",
        ]


class Run:
    """Faults in the order of a plan on a cluster of its own prefix; `say` is told what happens."""

    def __init__(self, cluster: Cluster, seed: int, faults: Sequence[Fault], say: Callable[[str], None]) -> None:
        self._cluster, self._faults, self._say = cluster, faults, say
        self._random = random.Random(seed)
        self._config = cluster.config
        self._workers = Workers(self._config, cluster.folder, say)
        self._fleet = Fleet(cluster.broker.bootstrap_servers, f"{cluster.prefix}metrics", seed, RATE)
        self._figures = Figures(seed)
        self._begin, self._slept = time.monotonic(), 0

    def execute(self, seconds: float = 0.0) -> Figures:
        """Run the plan, spread over at least `seconds`; drain, stop, verify."""
        try:
            self._workers.start(0)
            self._workers.wait_ready()  # it has made the topics, with the right number of partitions
            if self._workers.problems:
                raise RuntimeError(f"no worker starts, even without faults: {self._workers.problems[0]}")
            self._fleet.start()
            for number, fault in enumerate(self._faults, start=1):
                self._strike(number, fault)
                self._workers.pause(self._begin + seconds * number / len(self._faults) - time.monotonic())
                if number % SETTLE_EVERY == 0:
                    self._settle(f"after {number} faults")
            self._drain()
            self._verify()
        finally:
            self._workers.end_all()
        return self._figures

    def _strike(self, number: int, fault: Fault) -> None:
        if self._random.random() < 0.7:  # else it may strike while a worker starts and restores
            self._workers.wait_ready()
        self._workers.pause(self._random.uniform(0.1, 3.0))
        self._say(f"{time.monotonic() - self._begin:6.1f} s  {number}/{len(self._faults)}  {fault}")
        self._figures.faults[_STRIKES[fault](self)] += 1

    # --- the faults; each returns what it was in the end

    def _victim(self) -> int:
        return self._random.choice(sorted(self._workers.running))

    def _kill(self) -> Fault:
        slot = self._victim()
        self._workers.kill(slot)
        self._workers.start(slot)
        return Fault.KILL

    def _kill_and_wipe(self) -> Fault:
        slot = self._victim()
        self._workers.kill(slot)
        self._workers.wipe(slot)
        self._workers.start(slot)
        return Fault.KILL_AND_WIPE

    def _kill_in_commit(self) -> Fault:
        slot = self._victim()
        self._workers.terminate(slot)
        self._workers.start(slot, die_at=self._random.randint(1, 15))
        died = self._workers.died_as_meant(slot, seconds=40)
        self._workers.start(slot)
        return Fault.KILL_IN_COMMIT if died else Fault.KILL

    def _zombie(self) -> Fault:
        slot, stand_in = self._victim(), 1 if len(self._workers.running) == 1 else None
        if stand_in is not None:
            self._workers.start(stand_in)
        self._workers.wait_ready()
        self._workers.freeze(slot)
        try:
            self._workers.pause(SESSION + self._random.uniform(2.0, 5.0))
        finally:
            self._workers.thaw(slot)
        self._workers.pause(self._random.uniform(0.1, 3.0))
        if stand_in is not None:
            self._workers.terminate(stand_in)
        return Fault.ZOMBIE

    def _expire(self) -> Fault:
        """Shorter than the session timeout: it is still the owner when it comes back, without its transaction."""
        slot = self._victim()
        self._workers.terminate(slot)
        self._workers.start(slot, stop_at=self._random.randint(1, 15))
        worker = self._workers.running[slot]
        stopped = self._workers.wait_for(lambda: worker.process.poll() is not None or worker.is_stopped, seconds=40)
        self._workers.pause(SESSION - 1.0)
        self._workers.thaw(slot)
        return Fault.EXPIRE if stopped else Fault.TERMINATE

    def _slow(self) -> Fault:
        slot = self._victim()
        self._workers.terminate(slot)
        self._workers.start(slot, sleep_at=self._random.randint(1, 30))
        slept = self._workers.wait_for(lambda: self._workers.logged(WOKEN) > self._slept, seconds=60)
        self._slept += slept
        return Fault.SLOW if slept else Fault.TERMINATE

    def _disk_full(self) -> Fault:
        """A worker on a small disk of its own, which fills up; it may give up, and goes on when there is room again."""
        slot = self._victim()
        self._workers.terminate(slot)
        self._workers.wipe(slot)
        with small_disk(self._workers.data(slot)) as disk:
            self._workers.start(slot)
            self._workers.wait_ready()
            self._workers.pause(self._random.uniform(0.5, 3.0))
            self._workers.running[slot].disturbed = True
            with filled(disk):
                self._workers.pause(DISK_FULL_FOR)
            self._workers.pause(self._random.uniform(0.5, 3.0))
            self._workers.terminate(slot)
        self._workers.start(slot)
        return Fault.DISK_FULL

    def _terminate(self) -> Fault:
        slot = self._victim()
        self._workers.terminate(slot)
        self._workers.start(slot)
        return Fault.TERMINATE

    def _scale(self) -> Fault:
        if len(self._workers.running) > 1:
            self._workers.terminate(*(slot for slot in self._workers.running if slot != 0))
        else:
            for slot in (1, 2):
                self._workers.start(slot)
                self._workers.pause(self._random.uniform(0.0, 2.0))
        return Fault.SCALE

    def _broker_kill(self) -> Fault:
        broker = self._own_broker()
        self._workers.broker_goes()
        broker.kill()
        self._workers.pause(self._random.uniform(0.1, 6.0))
        broker.start()
        self._workers.broker_is_back()
        return Fault.BROKER_KILL

    def _broker_away(self) -> Fault:
        broker = self._own_broker()
        self._workers.broker_goes()
        broker.kill()
        self._workers.pause(self._random.uniform(12.0, 20.0))
        broker.start()
        self._workers.broker_is_back()
        return Fault.BROKER_AWAY

    def _broker_freeze(self) -> Fault:
        process = self._own_broker().process_id
        if process is None:
            raise RuntimeError("the broker does not run")
        self._workers.broker_goes()
        os.kill(process, signal.SIGSTOP)
        try:
            self._workers.pause(BROKER_SILENCE)
        finally:
            os.kill(process, signal.SIGCONT)
        self._workers.broker_is_back()
        return Fault.BROKER_FREEZE

    def _own_broker(self) -> JarsBroker:
        broker = self._cluster.broker
        if not isinstance(broker, JarsBroker):
            raise TypeError("faults of the broker need one of our own (JarsBroker)")
        return broker

    # --- the end

    def _settle(self, when: str) -> None:
        """Everything written until now must be committed soon; what is not, hangs."""
        ends, limit = input_ends(self._cluster), time.monotonic() + SETTLE_TIMEOUT
        left: dict[str, str] = {"nothing": "asked yet"}
        while left:
            self._workers.pause(0.3)
            try:
                left = behind(self._cluster, ends)
            except KafkaException as problem:  # a coordinator that loads its log after a restart
                left = {"the broker": str(problem)}
            if left and time.monotonic() > limit:
                logs = ", ".join(worker.last_words for worker in self._workers.running.values())
                line = f"{when}: not committed within {SETTLE_TIMEOUT:g} s: {left}; {logs}"
                self._say(f"  PROBLEM: {line}")
                self._figures.problems.append(line)
                return

    def _drain(self) -> None:
        """The fleet ends, the workers end; a single new one does what is left and ends too."""
        sent = self._fleet.stop()
        self._workers.wait_ready()
        self._workers.terminate(*self._workers.running)
        self._workers.start(0)
        self._workers.wait_ready()
        self._say(f"{time.monotonic() - self._begin:6.1f} s  {sent} records sent; one worker reads the rest")
        self._settle("in the end")
        self._workers.terminate(0)
        self._figures.seconds = time.monotonic() - self._begin
        self._figures.records = sent

    def _verify(self) -> None:
        seen, figures = read_everything(self._cluster), self._figures
        with fragile_monitor():
            verdict = verify(seen, load_settings(self._config))
        if len(seen.metrics) != figures.records:
            figures.problems.append(f"{figures.records} records acknowledged, {len(seen.metrics)} on the topic")
        figures.malformed = sum(map(is_malformed, seen.metrics))
        figures.compared, figures.restarts = verdict.compared, self._workers.restarts
        figures.mended = self._workers.logged("starting again from what is committed")
        figures.problems += self._workers.problems + verdict.problems


_STRIKES: dict[Fault, Callable[[Run], Fault]] = {
    Fault.KILL: Run._kill,
    Fault.KILL_AND_WIPE: Run._kill_and_wipe,
    Fault.KILL_IN_COMMIT: Run._kill_in_commit,
    Fault.ZOMBIE: Run._zombie,
    Fault.EXPIRE: Run._expire,
    Fault.SLOW: Run._slow,
    Fault.DISK_FULL: Run._disk_full,
    Fault.TERMINATE: Run._terminate,
    Fault.SCALE: Run._scale,
    Fault.BROKER_KILL: Run._broker_kill,
    Fault.BROKER_FREEZE: Run._broker_freeze,
    Fault.BROKER_AWAY: Run._broker_away,
}
