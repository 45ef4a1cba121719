"""The part of librdkafka's C interface that runs its mock cluster (`rdkafka_mock.h`).

confluent-kafka ships the library but exposes the cluster only through a configuration key (`test.mock.num.brokers`),
where every group's first member waits three seconds to be alone, and every topic has four partitions.
"""

from __future__ import annotations

import ctypes
from importlib import metadata
from pathlib import Path

from streams.brokers.broker import BrokerError

_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int

#: Result and arguments of each function that is called.
_SIGNATURES = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (_INT, [_POINTER, _TEXT, _TEXT, _TEXT, ctypes.c_size_t]),
    "rd_kafka_new": (_POINTER, [_INT, _POINTER, _TEXT, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, _INT]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, [_POINTER]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_topic_create": (_INT, [_POINTER, _TEXT, _INT, _INT]),
}

_PRODUCER = 0
_EMERGENCIES_ONLY = b"0"
_TOPIC_EXISTS = 36


def library_path() -> Path:
    """The librdkafka that confluent-kafka's wheel brought. Raises `BrokerError` if there is none."""
    try:
        shipped = metadata.files("confluent-kafka") or []
    except metadata.PackageNotFoundError:
        shipped = []
    for file in shipped:
        if file.name.startswith("librdkafka") and (path := Path(str(file.locate()))).exists():
            return path
    raise BrokerError(
        "the embedded broker is part of confluent-kafka's wheel, which is not installed: "
        "pip install 'visutility-streams[demo]'"
    )


class MockCluster:
    """One mock broker on loopback, alive until `close`, served by threads of this process."""

    def __init__(self, library: Path) -> None:
        self._library = _load(library)
        error = ctypes.create_string_buffer(512)
        configuration = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(configuration, b"log_level", _EMERGENCIES_ONLY, error, len(error))
        self._handle = self._library.rd_kafka_new(_PRODUCER, configuration, error, len(error))
        if not self._handle:
            raise BrokerError(f"librdkafka did not start: {error.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._handle, 1)
        if not self._cluster:
            self._library.rd_kafka_destroy(self._handle)
            raise BrokerError("librdkafka could not open its mock cluster on loopback")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    @property
    def bootstrap_servers(self) -> str:
        """The broker's `host:port`."""
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; do nothing if it exists, whatever its number of partitions."""
        error = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if error not in (0, _TOPIC_EXISTS):
            raise BrokerError(f"the embedded broker refused the topic {name!r} (error {error})")

    def close(self) -> None:
        """End the cluster with all that it holds."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
