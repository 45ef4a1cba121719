"""Records a second of one process, beside the peers' on the same topic of the same broker, in turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.environments import NoEnvironment, kafka_streams, python_of
from benchmarks.run import Json, ProcessFailed, Run, median, run_process
from benchmarks.traffic import PER_MESSAGE, in_turn, metrics, outcomes

OURS = "visutility"

#: Of the records, those of a round of `outcomes`: each holds 500 labelled predictions.
_OUTCOMES_SHARE = 100


@dataclass(frozen=True)
class Peer:
    """Another program for the same job. A slow one is given one in `share` of the records."""

    name: str
    share: int
    command: Callable[[], Sequence[str]]


def in_python(name: str, share: int, environment: str, module: str, *arguments: str) -> Peer:
    """A peer's module under `benchmarks.peers`, in its environment."""
    script = ["-m", f"benchmarks.peers.{module}", *arguments]
    return Peer(name, share, lambda: [python_of(environment), *script])


PEERS = (
    in_python("stock_faust", 50, "faust", "faust_stock"),
    in_python("quix", 8, "quix", "quix_stateful"),
    in_python("bytewax", 2, "bytewax", "bytewax_stateful"),
    Peer("kafka_streams", 1, kafka_streams),
    in_python("aiokafka_drain", 1, "aiokafka", "aiokafka_raw", "drain"),
    in_python("aiokafka_decode", 1, "aiokafka", "aiokafka_raw", "decode"),
)


def throughput(run: Run) -> Json:
    """Ours includes restoring nothing, committing everything; the peers' ends when the last record is processed."""
    topic, labelled = run.kafka.name("metrics"), run.kafka.name("outcomes")
    messages = max(run.records // _OUTCOMES_SHARE, 200)
    run.say(f"filling topics: {run.records} metrics, {messages} outcomes messages")
    run.kafka.create(topic, f"{topic}-alarms", labelled)
    run.kafka.fill(topic, metrics(in_turn(run.records)))
    run.kafka.fill(labelled, outcomes(in_turn(messages)))
    rates, cpu, columnar, skipped = defaultdict[str, list[float]](list), list[float](), list[float](), dict[str, str]()
    for _ in range(run.rounds):
        ours = run.worker(topic, run.records)
        rates[OURS].append(ours.records / ours.seconds)
        cpu.append(ours.cpu_seconds / ours.records * 1e6)
        for peer in PEERS:
            if peer.name not in skipped:
                try:
                    rate = peer_rate(run, peer, topic)
                    rates[peer.name].append(rate)
                except (NoEnvironment, ProcessFailed) as problem:
                    skipped[peer.name] = str(problem)
                    run.say(f"left out: {problem}")
        labels = run.worker(labelled, messages)
        columnar.append(labels.records * PER_MESSAGE / labels.seconds)
        run.say(", ".join(f"{name} {values[-1]:,.0f}/s" for name, values in rates.items()))
    return {
        "records": run.records,
        **compared(rates),
        "cpu_microseconds_per_record": median(cpu),
        "outcomes_per_second": median(columnar),
        "skipped": skipped,
    }


def peer_rate(run: Run, peer: Peer, topic: str) -> float:
    """Records a second of one run of a peer. Raises `NoEnvironment`, `ProcessFailed`."""
    records = max(run.records // peer.share, 1000)
    environment = {
        "BOOTSTRAP": run.kafka.bootstrap_servers,
        "TOPIC": topic,
        "GROUP": run.kafka.name(peer.name),
        "RECORDS": str(records),
    }
    done = run_process(peer.name, peer.command(), environment)
    return float(done["records"]) / float(done["seconds"])


def compared(rates: dict[str, list[float]]) -> Json:
    """Medians, and ours over each of the others'."""
    medians = {name: median(values) for name, values in rates.items() if values}
    ratios = {name: median([medians[OURS] / rate]) for name, rate in medians.items() if name != OURS}
    return {"records_per_second": medians, "ratios": ratios}
