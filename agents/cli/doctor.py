"""`visutility doctor`: what is likely to be wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from agents.cli.failures import CommandFailed
from agents.cli.options import AsJson, Bootstrap, Config, settings_of
from agents.cli.output import print_json, print_table


def doctor(config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Look for the mistakes that are made most often, and say how to mend each. Changes nothing; takes some seconds.

    Exit status 1 if there is a problem. A hint may be as it should.

    Example: visutility doctor --bootstrap localhost:9092
    """
    settings = settings_of(config, bootstrap)

    from agents.cli import kafka
    from agents.doctor.checks import examine
    from agents.doctor.gather import gather

    findings = examine(kafka.run(gather(settings, datetime.now(UTC)), settings))
    problems = [each for each in findings if each.state == "problem"]
    if as_json:
        print_json({"healthy": not problems, "findings": [asdict(each) for each in findings]})
    else:
        rows = [(each.check, each.state, each.found, each.remedy) for each in findings]
        print_table(("check", "state", "what was found", "what to do"), rows)
    if problems:
        raise CommandFailed(f"{len(problems)} amiss; the first: {problems[0].check}: {problems[0].found}")
