"""What is kept by looking at the code itself: no client beside the settings, no code that a record could choose."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("agents", "schemas", "streams") for path in sorted((ROOT / folder).rglob("*.py"))]

#: aiokafka's ways to a broker, and what Faust is told of one.
CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "AIOKafkaClient", "create_conn"}

#: What runs code from text, and modules that make objects, and so may run code, from bytes.
EVALUATORS = {"compile", "eval", "exec"}
UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@cache
def _nodes() -> list[tuple[str, ast.AST]]:
    trees = ((path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())) for path in SOURCES)
    return [(path, node) for path, tree in trees for node in ast.walk(tree)]


def _calls(*names: str) -> list[tuple[str, ast.Call]]:
    return [(path, node) for path, node in _nodes() if isinstance(node, ast.Call) and _name(node.func) in names]


def test_kafka_clients_are_made_in_one_module_alone() -> None:
    made = {(path, _name(call.func)) for path, call in _calls(*CLIENTS)}
    for path, node in _nodes():
        if isinstance(node, ast.ClassDef):
            made |= {(path, _name(base)) for base in node.bases if _name(base) in CLIENTS}
    assert made == {
        ("streams/clients.py", "AIOKafkaConsumer"),
        ("streams/clients.py", "AIOKafkaProducer"),
        ("streams/clients.py", "AIOKafkaAdminClient"),
        ("streams/diagnosis.py", "create_conn"),
    }


def test_addresses_are_taken_without_their_security_only_where_a_connection_is_put_together() -> None:
    readers = {path for path, node in _nodes() if isinstance(node, ast.Attribute) and node.attr == "bootstrap_servers"}
    assert {path for path in readers if not path.startswith("streams/brokers/")} == {
        "agents/cli/options.py",  # the Connection of all commands
        "agents/cli/topics.py",  # names of topics and lines for people: connects nowhere
        "agents/demo/dashboard.py",  # handed on with the security settings
        "agents/demo/live_fleets.py",  # handed on with the security settings
        "agents/demo/plan.py",  # the Connection of the demo
        "agents/demo/rules.py",  # handed on with the security settings
        "agents/demo/run.py",  # the same
        "agents/doctor/checks.py",  # a line for people
        "agents/doctor/gather.py",  # whether there is one
        "agents/worker.py",  # engine_settings
        "streams/app.py",  # Faust wants them as URLs, and gets its credentials beside
        "streams/settings.py",  # the Connection of the engine
    }


def test_every_faust_app_gets_the_credentials() -> None:
    ((_, app),) = _calls("App", "StageApp")
    assert any(keyword.arg == "broker_credentials" for keyword in app.keywords)


def test_nothing_is_unpickled_or_evaluated() -> None:
    found = {(path, _name(call.func)) for path, call in _calls(*EVALUATORS) if isinstance(call.func, ast.Name)}
    for path, node in _nodes():
        match node:
            case ast.Import(names=names):
                found |= {(path, each.name) for each in names if each.name.partition(".")[0] in UNPICKLERS}
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in UNPICKLERS:
                found.add((path, module))
            case ast.Attribute(value=ast.Name(id=module), attr=attribute) if module in UNPICKLERS:
                found |= {(path, attribute)} - {(path, "dumps")}
            case ast.keyword(arg="allow_pickle" | "shell" as option, value=value) if ast.unparse(value) != "False":
                found.add((path, option))
    # It writes an artifact as a pickle: `dumps` is all that is used of it.
    assert found == {("agents/tuner/cross_validation.py", "pickle")}


def test_code_is_imported_by_name_in_one_place_that_the_settings_alone_lead_to() -> None:
    importing = {path for path, _ in _calls("import_module", "__import__")}
    assert importing == {"agents/tuner/__init__.py", "agents/tuner/objective.py"}  # the former: its own submodules


def test_every_array_file_is_read_with_pickles_forbidden() -> None:
    loads = [call for _, call in _calls("load") if ast.unparse(call.func) in ("np.load", "numpy.load")]
    assert loads
    assert all(any(keyword.arg == "allow_pickle" for keyword in each.keywords) for each in loads)
