"""Rights on Kafka as plain values: what a program needs, and the `kafka-acls` lines that give it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from shlex import quote
from typing import Literal

Kind = Literal["topic", "group", "transactional-id"]
Operation = Literal["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs"]

#: Kafka's numbers of the operations (`AclOperation`).
CODES: dict[Operation, int] = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Describe": 8, "DescribeConfigs": 10}

#: Kafka takes these for Describe, too.
_IMPLY_DESCRIBE: tuple[Operation, ...] = ("Read", "Write", "Delete")


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One right on one thing; with `prefixed` on all whose names begin so."""

    kind: Kind
    operation: Operation
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        what = f"{self.kind.replace('-', ' ')}{'s that begin with' if self.prefixed else ''}"
        return f"{self.operation} on {what} {self.name}"


def under(prefix: str, grants: Iterable[Grant]) -> list[Grant]:
    """The same for the names that the registry's have on Kafka, each once, in order."""
    return sorted({_named(replace(grant, name=prefix + grant.name)) for grant in grants})


def _named(grant: Grant) -> Grant:
    """Kafka has no empty prefix; what fits all names is the star."""
    return grant if grant.name else replace(grant, name="*", prefixed=False)


def acl_lines(grants: Iterable[Grant], principal: str, servers: str) -> Iterator[str]:
    """`kafka-acls` lines, one for all names that get the same right. Describe is left out where another implies it."""
    wanted = sorted(set(grants))
    names: dict[tuple[Kind, Operation, bool], list[str]] = {}
    for grant in wanted:
        if grant.operation != "Describe" or not _implied(grant, wanted):
            names.setdefault((grant.kind, grant.operation, grant.prefixed), []).append(grant.name)
    for (kind, operation, prefixed), those in names.items():
        on = " ".join(f"--{kind} {quote(name)}" for name in those)
        pattern = " --resource-pattern-type prefixed" if prefixed else ""
        yield (
            f"kafka-acls --bootstrap-server {servers} --add --allow-principal {quote(principal)} "
            f"--operation {operation}{pattern} {on}"
        )


def _implied(describe: Grant, grants: Iterable[Grant]) -> bool:
    return any(replace(describe, operation=each) in grants for each in _IMPLY_DESCRIBE)
