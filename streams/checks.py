"""What is looked at before a worker begins, so that it stops with one clear line rather than somewhere later."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    TransactionalIdAuthorizationFailed,
    UnsupportedVersionError,
)

from streams.clients import new_producer
from streams.settings import EngineSettings
from streams.stage_app import StageApp
from streams.store import CheckpointedTable, OverlayStore

#: Seconds within which the coordinator of transactions must answer; a cluster that has just begun makes its log first.
TRANSACTION_TIMEOUT = 60.0

_REFUSED = (TransactionalIdAuthorizationFailed, ClusterAuthorizationFailedError)
_UNKNOWN = (IncompatibleBrokerVersion, UnsupportedVersionError, NotImplementedError)


class NoTransactions(RuntimeError):
    """The broker does not do transactions, or not for us."""


class DataFolderUnfit(RuntimeError):
    """The data folder cannot be used."""


class DataFolderBusy(DataFolderUnfit):
    """Another worker uses the data folder."""


class WrongStore(RuntimeError):
    """The state would not be kept in RocksDB."""


async def check_transactions(settings: EngineSettings, stage: str) -> None:
    """Ask for a transactional id of the stage, as its partitions will. Raises `NoTransactions`."""
    name = f"{settings.topic_prefix}{stage}-check"
    producer = new_producer(settings.connection, transactional_id=name)
    at = f"the broker at {settings.connection}"
    instead = 'or set delivery = "at_least_once"'
    try:
        async with asyncio.timeout(TRANSACTION_TIMEOUT):
            await producer.start()
    except _REFUSED as problem:
        ids = f"{settings.topic_prefix}{stage}-"
        raise NoTransactions(
            f"{at} refuses transactional ids that begin with {ids}: allow Write and Describe on them, {instead}"
        ) from problem
    except _UNKNOWN as problem:
        raise NoTransactions(f"{at} knows no transactions: use Kafka 2.5 or newer, {instead}") from problem
    except TimeoutError as problem:
        raise NoTransactions(
            f"{at} gave no transactional id within {TRANSACTION_TIMEOUT:g} s: has it as many brokers as its"
            f" transaction.state.log.replication.factor? If it cannot do transactions, replace it, {instead}"
        ) from problem
    except KafkaError as problem:
        raise NoTransactions(f"{at} gave no transactional id: {type(problem).__name__}: {problem}") from problem
    finally:
        stopping = asyncio.ensure_future(producer.stop())
        await asyncio.wait({stopping}, timeout=1.0)


def check_store(app: StageApp) -> None:
    """Faust falls back to a store in memory where it cannot have another. Raises `WrongStore`."""
    for table in app.tables.values():
        store = table.data if isinstance(table, CheckpointedTable) else None
        if not isinstance(store, OverlayStore) or not store.rocksdb_options.use_rocksdict:
            raise WrongStore(
                f"the state of {app.conf.id} would be kept in {type(store).__name__}, not in RocksDB, and be gone with"
                " the process: install this package with its dependencies (rocksdict) anew"
            )


def locked_folder(folder: Path) -> ExitStack:
    """Hold a folder for this process, until the stack is closed or the process dies.

    Raises `DataFolderUnfit` if it cannot be written to, `DataFolderBusy` if another process holds it.
    """
    stack = ExitStack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = stack.enter_context((folder / "LOCK").open("w"))
        _write_something(folder)
    except OSError as problem:
        stack.close()
        raise DataFolderUnfit(
            f"data folder {folder} cannot be written to: {problem.strerror}. Make room or change its rights, or set"
            " data_dir (VISUTILITY_DATA_DIR) to another folder"
        ) from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        stack.close()
        raise DataFolderBusy(f"{folder} is used by another worker; give each worker its own data_dir") from problem
    return stack


def _write_something(folder: Path) -> None:
    """A full disk lets files be made, but not filled."""
    probe = folder / f"probe-{os.getpid()}"
    try:
        probe.write_bytes(b"\0" * 64 * 1024)
    finally:
        probe.unlink(missing_ok=True)
