"""Asks a broker what it lets us do, before anything is done: all that is missing is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request

from streams.clients import new_admin
from streams.diagnosis import told
from streams.grants import CODES, Grant, acl_lines
from streams.metadata import allowed_on_topics
from streams.security import Cluster, connection_to

#: Seconds within which the broker must have answered everything, and between two questions.
_PATIENCE, _PAUSE = 20.0, 0.2

#: Of many missing rights so many are named; the lines that mend them are of all.
_MOST_NAMED = 4

#: What a broker without an authorizer, or an old one, answers: that it does not tell.
_NOT_TOLD = -(2**31)


class NotPermitted(RuntimeError):
    """Rights are missing. The text is one line that names them, and how to grant them."""


async def check_permitted(cluster: Cluster, grants: Iterable[Grant], remedy: str) -> None:
    """Raise `NotPermitted` unless the broker grants all of these; transactional ids are left to `check_transactions`.

    `remedy` is the command that prints the lines of all rights. Raises Kafka's errors.
    """
    missing = await missing_grants(cluster, grants)
    if missing:
        others = f", and so on ({remedy} prints all)" if len(missing) > 1 else ""
        raise NotPermitted(denied(cluster, missing) + others)


def denied(cluster: Cluster, missing: Sequence[Grant]) -> str:
    """That some rights are missing, and what grants the first of them, in one line."""
    connection = connection_to(cluster)
    named = ", ".join(map(str, missing[:_MOST_NAMED]))
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    line = next(acl_lines(missing, connection.security.principal, connection.servers))
    return f"Kafka at {cluster} denies {connection.security.principal} {named}{more}: grant it with {line}"


async def missing_grants(cluster: Cluster, grants: Iterable[Grant]) -> list[Grant]:
    """Those of topics and groups that the broker does not grant; none from a broker that does not tell.

    Raises `NotPermitted` if the broker cannot be talked to, in one line.
    """
    wanted = sorted(set(grants))
    admin = new_admin(cluster)
    try:
        async with asyncio.timeout(_PATIENCE):
            await admin.start()
            topics: Mapping[str, int | None] = await _on_topics(admin, wanted)
            groups = {each.name: await _on_group(admin, each.name) for each in wanted if each.kind == "group"}
    except (KafkaError, TimeoutError) as problem:
        raise NotPermitted(told(problem, cluster)) from problem
    finally:
        await admin.close()
    allowed: Mapping[str, Mapping[str, int | None]] = {"topic": topics, "group": groups}
    return [each for each in wanted if each.kind in allowed and not _permits(allowed[each.kind].get(each.name), each)]


def _permits(allowed: int | None, grant: Grant) -> bool:
    return allowed is None or allowed == _NOT_TOLD or bool(allowed >> CODES[grant.operation] & 1)


async def _on_topics(admin: AIOKafkaAdminClient, wanted: Iterable[Grant]) -> dict[str, int]:
    """The rights on each topic, a bit an operation. A prefix is asked as if it were a name, for one may be."""
    names = sorted({each.name for each in wanted if each.kind == "topic" and each.name != "*"})
    try:
        return await allowed_on_topics(admin._client, names) if names else {}
    except NotImplementedError:
        return {}


async def _on_group(admin: AIOKafkaAdminClient, group: str) -> int | None:
    """The rights on a group; None where the broker does not tell."""
    while True:
        try:
            coordinator = await admin.find_coordinator(group)
            answer = await admin._client.send(coordinator, _DescribeGroup(group))
        except GroupAuthorizationFailedError:
            return 0
        except NotImplementedError:
            return None
        except KafkaError as problem:
            if not problem.retriable:
                raise
            await asyncio.sleep(_PAUSE)  # a new cluster makes its coordinators when they are first asked for
            continue
        error, *_, allowed = answer.groups[0]
        if error and for_code(error).retriable:
            await asyncio.sleep(_PAUSE)
        elif error:
            return 0 if for_code(error) is GroupAuthorizationFailedError else None
        else:
            return int(allowed)


class _GroupQuestion(DescribeGroupsRequest_v3):  # type: ignore[misc] # aiokafka has no types
    """aiokafka reads the answer as that of version 2, in which the rights are not."""

    RESPONSE_TYPE = DescribeGroupsResponse_v3


class _DescribeGroup(Request[_GroupQuestion]):  # type: ignore[misc]
    API_KEY = _GroupQuestion.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupQuestion]) -> _GroupQuestion:
        return request_struct_class([self._group], True)
