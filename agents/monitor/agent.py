"""The monitor's shell: shows what it committed to the subscribers of this process."""

from __future__ import annotations

from agents.monitor.state import Model
from agents.monitor.subscribers import EventLogger, Subscribers, subscribers
from agents.settings import Settings
from streams.owner import Commit
from streams.processor import Processor
from streams.records import Output


class SubscriberListener:
    """Publishes each committed event and output, events first. With `log_events` all of them are logged too."""

    def __init__(self, settings: Settings, registry: Subscribers = subscribers) -> None:
        self._registry = registry
        registry.load_entry_points()
        if settings.log_events:
            registry.subscribe(EventLogger())

    @property
    def wants_events(self) -> bool:
        return len(self._registry) > 0

    def opened(self, partition: int, processor: Processor[Model]) -> None: ...

    def committed(self, partition: int, processor: Processor[Model], commit: Commit) -> None:
        self._registry.publish(commit.events)
        self._registry.publish(output for output in commit.outputs if isinstance(output, Output))

    def closed(self, partition: int) -> None: ...
