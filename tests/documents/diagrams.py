"""The documents' diagrams: boxes on a grid and arrows between them, as SVG that reads on light and on dark pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 132, 50, 62, 52, 14
"""Pixels: of a box, between boxes to the right and below, and around the whole."""

COLOURS = {"stage": "#3949ab", "topic": "#00796b", "outside": "#6d4c41", "store": "#5e35b1", "alarm": "#b3261e"}
"""White text on each has a contrast of more than 4.5."""

_ARROW, _PLATE, _INK = "#8a92a6", "#e9ecf4", "#2b3040"
_HEAD = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0L10 5L0 10z" fill="{_ARROW}"/></marker>'
)
_FONT = 'font-family="system-ui, sans-serif" text-anchor="middle"'


@dataclass(frozen=True)
class Box:
    """A box at a column and a row, which need not be whole numbers; a second line of its text is smaller."""

    text: str
    column: float
    row: float
    kind: str

    @property
    def x(self) -> float:
        """Its middle."""
        return EDGE + WIDTH / 2 + self.column * (WIDTH + ACROSS)

    @property
    def y(self) -> float:
        """Its middle."""
        return EDGE + HEIGHT / 2 + self.row * (HEIGHT + DOWN)


@dataclass
class Diagram:
    """Boxes by name, arrows between them with what they carry, and what it all shows in words."""

    title: str
    boxes: dict[str, Box]
    arrows: list[tuple[str, str, str]] = field(default_factory=list)

    def svg(self) -> str:
        """The whole document."""
        width = max(box.x for box in self.boxes.values()) + WIDTH / 2 + EDGE
        height = max(box.y for box in self.boxes.values()) + HEIGHT / 2 + EDGE
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img">',
            f"<title>{escape(self.title)}</title>",
            f"<defs>{_HEAD}</defs>",
            *(_line(self.boxes[start], self.boxes[end]) for start, end, _ in self.arrows),
            *(_box(box) for box in self.boxes.values()),
            *(_label(self.boxes[start], self.boxes[end], text) for start, end, text in self.arrows if text),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"


def _box(box: Box) -> str:
    left, top = box.x - WIDTH / 2, box.y - HEIGHT / 2
    first, _, second = box.text.partition("\n")
    shape = f'<rect x="{left:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="{COLOURS[box.kind]}"/>'
    texts = _text(first, box.x, box.y + (5 if not second else -3), 15, "#fff")
    return shape + texts + (_text(second, box.x, box.y + 15, 11.5, "#fff") if second else "")


def _line(start: Box, end: Box) -> str:
    (x1, y1), (x2, y2) = _ends(start, end)
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{_ARROW}" stroke-width="2" '
        'marker-end="url(#head)"/>'
    )


def _label(start: Box, end: Box, text: str) -> str:
    (x1, y1), (x2, y2) = _ends(start, end)
    x, y, width = (x1 + x2) / 2, (y1 + y2) / 2, 6.6 * len(text) + 10
    plate = f'<rect x="{x - width / 2:g}" y="{y - 9:g}" width="{width:g}" height="18" rx="9" fill="{_PLATE}"/>'
    return plate + _text(text, x, y + 4, 11.5, _INK)


def _text(text: str, x: float, y: float, size: float, colour: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" {_FONT}>{escape(text)}</text>'


def _ends(start: Box, end: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the line between two middles leaves the one box and enters the other."""
    return _rim(start, end), _rim(end, start)


def _rim(box: Box, other: Box) -> tuple[float, float]:
    dx, dy = other.x - box.x, other.y - box.y
    share = min(WIDTH / 2 / abs(dx) if dx else 9.0, HEIGHT / 2 / abs(dy) if dy else 9.0)
    return box.x + share * dx, box.y + share * dy


DIAGRAMS = {
    "loop": Diagram(
        "The loop: fleets write metrics, the monitor finds drift, the policy asks for retraining, the tuner runs "
        "trials, and fleets take the version that won",
        {
            "alerts": Box("alerts, status\ntopics", 2, 0, "topic"),
            "people": Box("people\ndashboard, Slack", 3, 0, "outside"),
            "fleets": Box("your fleets\nany language", 0, 1, "outside"),
            "metrics": Box("metrics\ntopic", 1, 1, "topic"),
            "monitor": Box("monitor\nwindows, detectors", 2, 1, "stage"),
            "drift": Box("drift\ntopic", 3, 1, "topic"),
            "policy": Box("retrain policy\nminima, cooldown", 3, 2, "stage"),
            "retrain": Box("retrain\ntopic", 2, 2, "topic"),
            "tuner": Box("tuner\nstudy, promotion", 1, 2, "stage"),
            "models": Box("models\ncompacted topic", 0, 2, "topic"),
            "runners": Box("trial runners\nas many as you like", 1, 3, "stage"),
        },
        [
            ("fleets", "metrics", ""),
            ("metrics", "monitor", ""),
            ("monitor", "alerts", ""),
            ("alerts", "people", ""),
            ("monitor", "drift", ""),
            ("drift", "policy", ""),
            ("policy", "retrain", ""),
            ("retrain", "tuner", ""),
            ("tuner", "models", ""),
            ("models", "fleets", "new version"),
            ("tuner", "runners", "trials"),
        ],
    ),
    "states": Diagram(
        "The states of a model: warming, ok, warning, drift, recovered, and silent where heartbeats stop",
        {
            "warming": Box("warming\nbelow min_samples", 0, 0.5, "store"),
            "ok": Box("ok", 1, 0.5, "topic"),
            "warning": Box("warning", 2, 0, "outside"),
            "drift": Box("drift", 2, 1, "alarm"),
            "recovered": Box("recovered", 1, 1.5, "topic"),
            "silent": Box("silent\nno heartbeat", 0, 1.5, "alarm"),
        },
        [
            ("warming", "ok", ""),
            ("ok", "warning", ""),
            ("warning", "drift", ""),
            ("ok", "drift", "fires"),
            ("drift", "recovered", ""),
            ("recovered", "ok", ""),
            ("ok", "silent", ""),
        ],
    ),
    "transaction": Diagram(
        "One checkpoint: outputs, changed state and offsets go to Kafka in one transaction, and then to the disk",
        {
            "records": Box("records\n[begin, end)", 0, 1, "topic"),
            "step": Box("step\npure function", 1, 1, "stage"),
            "outputs": Box("outputs\ndrift, alerts, …", 2, 0, "topic"),
            "changelog": Box("changelog\nstate that changed", 2, 1, "topic"),
            "offsets": Box("offsets\nof all inputs", 2, 2, "topic"),
            "commit": Box("commit\none transaction", 3, 1, "store"),
            "disk": Box("RocksDB\nstate on disk", 4, 1, "store"),
        },
        [
            ("records", "step", ""),
            ("step", "outputs", ""),
            ("step", "changelog", ""),
            ("step", "offsets", ""),
            ("outputs", "commit", ""),
            ("changelog", "commit", ""),
            ("offsets", "commit", ""),
            ("commit", "disk", "then"),
        ],
    ),
    "backtest": Diagram(
        "The same steps run live over Kafka and in a backtest over a recording, and say the same",
        {
            "topics": Box("topics", 0, 0, "topic"),
            "live": Box("worker\nthe steps, live", 1, 0, "stage"),
            "messages": Box("drift, requests\non topics", 2, 0, "topic"),
            "recording": Box("recording\na file", 0, 1, "store"),
            "backtest": Box("backtest\nthe same steps", 1, 1, "stage"),
            "same": Box("same messages\nids and digits too", 2, 1, "store"),
        },
        [
            ("topics", "live", ""),
            ("live", "messages", ""),
            ("topics", "recording", "record"),
            ("recording", "backtest", ""),
            ("backtest", "same", ""),
        ],
    ),
}
"""By the name of their file in docs/diagrams."""
