"""What commands do on behalf of people: published in one transaction with the audit record that tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import brokers_of
from agents.dashboard.access import Identity
from agents.dashboard.actions import Action, Actions
from agents.dashboard.publisher import Publisher
from agents.orders import OrderInvalid
from agents.settings import Settings
from streams.topics import TopicsUnfit, keeps_transactions

T = TypeVar("T")

#: Actions in one transaction.
AT_ONCE: Final = 100


def who(actor: str) -> Identity:
    """Whoever has a shell that reaches Kafka may do everything; the record says that they did it so."""
    return Identity(actor, "operate", "cli")


def valid(make: Callable[[Actions], T], settings: Settings) -> T:
    """What `make` makes for these topics. Raises BadInput for what no message may hold."""
    try:
        return make(Actions(settings.topic_prefix))
    except OrderInvalid as problem:
        raise BadInput(str(problem)) from None


async def publish(settings: Settings, actions: Sequence[Action]) -> None:
    """Publish actions, some in one transaction, each of them whole; without transactions, what tells of them first.

    Raises what Kafka raises, and `TopicMissing`.
    """
    try:
        transactional = settings.delivery == "exactly_once" and await keeps_transactions(brokers_of(settings))
    except TopicsUnfit as problem:
        raise CommandFailed(str(problem)) from None
    publisher = Publisher(brokers_of(settings), settings.topic_prefix, transactional=transactional)
    try:
        for first in range(0, len(actions), AT_ONCE):
            together = actions[first : first + AT_ONCE]
            await publisher.publish([each for one in together for each in one.all_records(settings.topic_prefix)])
    finally:
        await asyncio.shield(publisher.close())
