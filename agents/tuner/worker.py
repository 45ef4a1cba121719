"""What runs inside a process of the pool: one trial or one final training at a time. Results are plain values.

The time limit of the objective is set with the kernel's interval timer and its default action, which ends the process
even where the objective holds the interpreter in a C loop. It begins when the data is loaded, so that the first trial
of a process does not pay for imports out of its own limit.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.registry.artifacts import ArtifactStore
from agents.registry.known import KnownVersion
from agents.registry.promotion import BY_DEFAULT, judge
from agents.settings.promotion import PromotionSettings
from agents.tuner.channel import TrialChannel
from agents.tuner.objective import LoadedObjective, ObjectiveError, RunningTrial, TrialPruned, load_objective
from agents.tuner.sampling import Chosen, SamplingCall, choose
from agents.tuner.space import Params
from schemas.models import Promotion
from schemas.retrain import RetrainRequest

MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class TrialCall:
    """A trial as it is sent to a process; the request as JSON, which is also the key of the data's cache.

    `channel` is where its reports are heard while it runs, if somebody listens.
    """

    objective: str
    request: bytes
    number: int
    params: Params
    seed: int
    incumbent: Params
    limit_seconds: float
    options: Mapping[str, Any] = field(default_factory=dict)
    bounds: Mapping[int, float] = field(default_factory=dict)
    maximize: bool = True
    memory_mb: int | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingCall:
    """A final training as it is sent to a process, which writes the artifact itself."""

    objective: str
    request: bytes
    params: Params
    artifacts: str
    limit_seconds: float
    options: Mapping[str, Any] = field(default_factory=dict)
    champion: KnownVersion | None = None
    promotion: PromotionSettings = BY_DEFAULT


@dataclass(frozen=True, slots=True)
class LoadingCall:
    """An objective that is to be loaded, and no more."""

    objective: str
    options: Mapping[str, Any] = field(default_factory=dict)
    limit_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended. `error` is one line; without one a trial has a `score`, a training a `url` and `sha256`.

    A trial that was `pruned` has the score it had reached; `reports` are what it reported, by step. A sampler has
    `chosen`.
    """

    seconds: float = 0.0
    error: str | None = None
    score: float | None = None
    pruned: bool = False
    reports: dict[int, float] = field(default_factory=dict)
    chosen: Chosen = field(default_factory=lambda: Chosen([]))
    url: str = ""
    sha256: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    promotion: Promotion | None = None


def start_worker(niceness: int) -> None:
    """Prepare a fresh process: low priority, one thread for numerics, prints to stderr, default action for SIGTERM.

    It ends with its parent: a killed worker's trials run anew elsewhere, and must not go on here beside them.
    """
    os.nice(niceness)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    os.dup2(2, 1)  # stdout belongs to the parent, which may promise one JSON document there
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # before numpy is imported: processes are the parallelism
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def run_trial(call: TrialCall) -> Ended:
    """Run one trial. Whatever the objective does, short of ending the process, comes back as an `Ended`."""

    def body(watch: _Stopwatch) -> Ended:
        options = _text(call.options)
        objective, request = _objective(call.objective, options), RetrainRequest.model_validate_json(call.request)
        data = _data(call.objective, options, call.request)
        known = RunningTrial(call.number, dict(call.params), call.seed, request, dict(call.incumbent))
        channel = None if call.channel is None else TrialChannel(call.channel)
        trial = replace(known, bounds=call.bounds, maximize=call.maximize, channel=channel)
        with channel or nullcontext(), watch.limit(call.limit_seconds), _memory(call.memory_mb):
            try:
                return Ended(score=objective.score(trial, data), reports=trial.reports)
            except TrialPruned:
                return Ended(score=trial.latest, pruned=True, reports=trial.reports)

    return _guarded(body)


def run_loading(call: LoadingCall) -> Ended:
    """Load an objective; the error says why trials of it would fail."""

    def body(watch: _Stopwatch) -> Ended:
        _objective(call.objective, _text(call.options))
        return Ended()

    return _guarded(body)


def run_sampling(call: SamplingCall) -> Ended:
    """Ask a sampler."""
    return _guarded(lambda watch: Ended(chosen=choose(call)))


def run_training(call: TrainingCall) -> Ended:
    """Fit the model that is registered, compare it with the champion, and store its artifact."""

    def body(watch: _Stopwatch) -> Ended:
        objective, request = (
            _objective(call.objective, _text(call.options)),
            RetrainRequest.model_validate_json(call.request),
        )
        with watch.limit(call.limit_seconds):
            model = objective.train(dict(call.params), request)
            promotion = judge(objective.evaluate, call.champion, model.artifact, request, call.promotion)
        artifact = ArtifactStore(call.artifacts).save(request.model_name, model.artifact)
        return Ended(url=artifact.url, sha256=artifact.sha256, metrics=dict(model.metrics), promotion=promotion)

    return _guarded(body)


def error_line(problem: BaseException) -> str:
    """An exception as one line: its type and text, and where in the user's code it was raised."""
    own = isinstance(problem, ObjectiveError)
    text = str(problem) if own else f"{type(problem).__name__}: {problem}".removesuffix(": ")
    # Half a surrogate pair, from a file name say, cannot be written as UTF-8.
    text = " ".join(text.encode(errors="replace").decode().split())[:MAX_ERROR]
    if own:
        return text
    frames = traceback.extract_tb(problem.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else text


class _Stopwatch:
    """Measures a call, from its limited part on where it gets that far, so that imports count for no trial."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """End this process if the block takes longer than `seconds`."""
        self._began = time.perf_counter()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _guarded(body: Callable[[_Stopwatch], Ended]) -> Ended:
    watch = _Stopwatch()
    try:
        return replace(body(watch), seconds=watch.seconds)
    except BaseException as problem:  # noqa: BLE001 (SystemExit too: who calls sys.exit has failed, no more)
        return Ended(watch.seconds, error=error_line(problem))


@contextmanager
def _memory(megabytes: int | None) -> Iterator[None]:
    """Have the block fail with a `MemoryError` where this process would hold more data than so many MiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if megabytes is not None:
        wanted = megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _text(options: Mapping[str, Any]) -> str:
    return json.dumps(dict(options), sort_keys=True)


@lru_cache(maxsize=8)
def _objective(name: str, options: str) -> LoadedObjective:
    return load_objective(name, json.loads(options))


@lru_cache(maxsize=2)  # more would keep the data of ended studies in memory
def _data(name: str, options: str, request: bytes) -> Any:
    return _objective(name, options).load_data(RetrainRequest.model_validate_json(request))
