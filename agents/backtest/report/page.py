"""The report as one HTML file: data, style and script inside, nothing fetched.

Names and reasons come from whoever wrote the events. They enter the page escaped, or as JSON in which no character can
end a script; the script puts them in as text alone; and the page's own security policy allows no other script, and no
request to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from agents.backtest.report.document import Report, Scores, charted, charts, models_of, reasons_of, summary
from agents.backtest.report.marks import KINDS, Kind

_FIGURES: tuple[tuple[Kind, str], ...] = (
    ("drift", "Drift"),
    ("better", "Better"),
    ("warning", "Warnings"),
    ("breach", "Below minimum"),
    ("retrain", "Retrain"),
    ("alert", "Alerts"),
)

_MODELS = """<h2>Models</h2>
<noscript><p class="hint">Charts and the list of models need JavaScript.</p></noscript>
<div id="models" class="card"></div>"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
{data}
<script>{script}</script>
</body>
</html>
"""


def page(report: Report) -> str:
    """The report's HTML; the same for the same events and settings."""
    models = models_of(report)
    head = summary(report, models)
    with_charts = charted(models)
    style, script = _part("page.css"), _part("chart.js") + _part("page.js")
    data = [_json("summary", head)]
    data += [_json(f"model-{at}", charts(m, report.windows)) for at, m in enumerate(models) if m.name in with_charts]
    body = [
        _heading(report, head["values"], head["rows"], head["unknownLabels"]),
        _figures(report, head["counts"], len(models)),
        '<div id="timeline" class="card"></div>',
        _scores(report.scores),
        _MODELS,
        _dead_letters(report),
        f'<h2>Settings</h2>\n<pre class="card" tabindex="0">{escape(report.settings)}</pre>',
        _guide(),
    ]
    return _PAGE.format(
        policy=f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'",
        title=escape(f"Backtest of {report.source}"),
        style=style,
        body="\n".join(part for part in body if part),
        data="\n".join(data),
        script=script,
    )


def _part(name: str) -> str:
    return (files("agents.backtest.report") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(identity: str, value: object) -> str:
    """A script element of data: `<` is escaped, so that nothing inside can end it or begin a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{identity}">{text}</script>'


def _heading(report: Report, values: int, rows: int, unknown: Sequence[str]) -> str:
    sampled = "" if rows == values else f"; {rows:,} points are drawn, with every extreme"
    lines = [
        f"<h1>Backtest of {escape(report.source)}</h1>",
        f'<p class="soft">{values:,} values in windows{sampled}. Times are those of the events, in UTC.</p>',
    ]
    if report.sha256:
        lines.append(f'<p class="hint hash">SHA-256 of the input: <code>{escape(report.sha256)}</code></p>')
    if unknown:
        names = ", ".join(escape(name) for name in unknown[:5])
        names += f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        lines.append(f'<p class="hint">Labels of models that no event is of: {names}</p>')
    return f"<header>{''.join(lines)}</header>"


def _figures(report: Report, counts: Sequence[int], models: int) -> str:
    figures = [("Events", report.result.events_read), ("Models", models)]
    figures += [(text, counts[KINDS.index(kind)]) for kind, text in _FIGURES]
    figures.append(("Dead letters", len(report.result.dead_letters)))
    cells = (
        f"<div{'' if figure else ' class=none'}><dt>{text}</dt><dd>{figure:,}</dd></div>" for text, figure in figures
    )
    return f'<dl class="figures">{"".join(cells)}</dl>'


def _scores(scores: Scores) -> str:
    if not scores:
        return ""
    columns = list(dict.fromkeys(column for row in scores for column in row))
    hint = '<p class="hint">Delays are in events; false alarms also per 10,000 events, and per day of event time.</p>'
    return f"<h2>Scores</h2>\n{hint}" + _table(columns, [[row.get(column) for column in columns] for row in scores])


def _dead_letters(report: Report) -> str:
    letters = report.result.dead_letters
    if not letters:
        return ""
    reasons = reasons_of(letters)
    listed = sum(count for _, count, _ in reasons)
    rest = "" if listed == len(letters) else f'<p class="hint">{len(letters) - listed:,} more for other reasons.</p>'
    return f"<h2>Dead letters</h2>\n{_table(('Reason', 'How many', 'The first, by line'), reasons)}{rest}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    number = [all(isinstance(row[at], int | float | None) for row in rows) for at in range(len(columns))]
    kind = [' class="n"' if each else "" for each in number]
    head = "".join(f'<th scope="col"{kind[at]}>{escape(column)}</th>' for at, column in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(f'<td{kind[at]}>{escape(_cell(cell))}</td>' for at, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f'<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _guide() -> str:
    return (
        '<footer class="hint"><p>Drag across a chart to zoom in, double-click to see all. With the keyboard: Tab to a '
        "chart, ← and → read its points, N and P go to the next and the former finding, + and − zoom, 0 shows all.</p>"
        "<p>The window's mean and standard deviation are the monitor's own, after each value. Where a series has more "
        "values than a chart can show, the first, the last and the extremes of each group of values are drawn, as they "
        "were; nothing is averaged.</p></footer>"
    )
