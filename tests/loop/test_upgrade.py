"""Workers replaced one after the other, with other settings, while records stream: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.brokers.broker import Broker
from tests.loop.driving import Cluster
from tests.loop.test_kill import assert_as_if_nothing_had_happened, final_windows, send_slowly, stream
from tests.loop.traffic import START, metrics

AGENTS = 'agents = ["monitor", "retrain"]\n'

#: Rules of models that have not come yet, other checkpoints, and somebody who is told.
LATER = f"""{AGENTS}
checkpoint_interval = "300ms"

[[monitor]]
models = "other-*"

[[monitor]]

[[notify]]
to = "slack"
url = "http://127.0.0.1:1/"
dry_run = true
"""

#: One model's window is another.
CHANGED = f"""{AGENTS}
[[monitor]]
models = "m0"
window = {{ size = 100 }}

[[monitor]]
"""


@pytest.fixture
def cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path, AGENTS)
    yield cluster
    cluster.stop()


@pytest.mark.timeout(600)
def test_replacing_workers_and_settings_leaves_no_trace_but_where_a_window_changed(cluster: Cluster) -> None:
    records = stream(seed=6)
    workers = {data: cluster.worker(data=data) for data in ("one", "two")}
    sending = send_slowly(cluster, records, seconds=3)
    cluster.settings = LATER
    for data, worker in list(workers.items()):
        assert worker.terminate() == 0
        workers[data] = cluster.worker(data=data)
    sending.join()
    cluster.wait_idle()
    assert [worker.terminate() for worker in workers.values()] == [0, 0]
    assert_as_if_nothing_had_happened(cluster, records)

    cluster.settings = CHANGED
    last = cluster.worker(data="one")
    cluster.produce((model, metrics(model, f"{model}-after", START + 100_000, 0.93)) for model in ("m0", "m1"))
    cluster.wait_idle()
    assert last.terminate() == 0
    anew = [alert["model_name"] for alert in cluster.messages("alerts") if alert["kind"] == "settings_changed"]
    assert anew == ["m0"]
    assert {name: len(window) for name, window in final_windows(cluster).items()} == {
        "m0": 1, **{f"m{number}": 500 for number in range(1, 6)},
    }  # fmt: skip
