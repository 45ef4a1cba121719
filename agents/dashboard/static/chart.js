// The chart of a metric: its values, the mean and band of the window that ends at each, findings, changes of version.

import { el, short, table, utc } from "./elements.js";

/** Deviations from the mean at which the band is drawn. */
export const BAND = 3;

let loading = null;

/** The charts' library comes with the dashboard, and only when a chart is shown. */
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = el("script", { src: "assets/plotly.min.js" });
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => {
      loading = null;
      reject(new Error("the charts' library could not be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Draws into `place`, or draws anew; what was zoomed stays zoomed. */
export async function draw(place, { points, metric }, findings) {
  const library = await plotly();
  const values = { mode: "markers", marker: { size: 4, color: colour("faint"), opacity: 0.75 }, name: metric, hoverinfo: "x+y" };
  const traces = [
    ...runs(points).flatMap(window),
    trace(points, (point) => point.value, values),
    marks(findings, "drift", "triangle-down"),
    marks(findings, "warning", "triangle-up"),
  ].filter(Boolean);
  await library.react(place, traces, layout(points), { responsive: true, displayModeBar: false });
  place.setAttribute("aria-label", summary(points, metric, findings));
}

const trace = (points, of, more) => ({
  x: points.map((point) => point.timestamp), y: points.map(of), type: "scatter", mode: "lines", hoverinfo: "skip", ...more,
});

/** Values of one version after the other, the last twenty: each version has windows of its own. */
function runs(points) {
  const found = [];
  for (const point of points) {
    if (found.at(-1)?.at(-1).model_version === point.model_version) found.at(-1).push(point);
    else found.push([point]);
  }
  return found.slice(-20);
}

/** The band and the mean of one run; the legend names them once. */
function window(points, index) {
  const once = { showlegend: index === 0 };
  const edge = { line: { width: 0 }, showlegend: false };
  const fill = { fill: "tonexty", fillcolor: rgba(colour("accent"), 0.15), line: { width: 0 }, name: `window mean ± ${BAND} s.d.`, legendgroup: "band" };
  return [
    trace(points, (point) => point.mean + BAND * point.std, edge),
    trace(points, (point) => point.mean - BAND * point.std, { ...fill, ...once }),
    trace(points, (point) => point.mean, { line: { width: 2, color: colour("accent") }, name: "window mean", legendgroup: "mean", hoverinfo: "x+y", ...once }),
  ];
}

function marks(findings, severity, symbol) {
  const mine = findings.filter((each) => (each.severity ?? "warning") === severity);
  if (!mine.length) return null;
  return {
    x: mine.map((each) => each.timestamp), y: mine.map((each) => each.value), type: "scatter", mode: "markers", name: severity,
    marker: { size: 12, symbol, color: colour(severity), line: { width: 1, color: colour("card") } },
    text: mine.map((each) => `${each.detector ?? "minimum"}: ${short(each.statistic ?? each.value)} against ${short(each.threshold)}`), hoverinfo: "x+y+text",
  };
}

function layout(points) {
  const axis = { gridcolor: colour("line"), zeroline: false, linecolor: colour("line"), tickcolor: colour("line"), automargin: true };
  const changes = points.filter((point, index) => index && point.model_version !== points[index - 1].model_version).slice(-20);
  return {
    margin: { l: 8, r: 8, t: 8, b: 8 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", uirevision: "same",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("faint") },
    xaxis: { ...axis, type: "date", title: { text: "event time, UTC", standoff: 8 } }, yaxis: { ...axis, tickformat: ".3~g" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, hovermode: "closest", hoverlabel: { bgcolor: colour("card"), font: { color: colour("text") } },
    shapes: changes.map((point) => ({ type: "line", xref: "x", yref: "paper", x0: point.timestamp, x1: point.timestamp, y0: 0, y1: 1, line: { color: colour("busy"), width: 1, dash: "dot" } })),
    annotations: changes.map((point) => ({ x: point.timestamp, xref: "x", y: 1, yref: "paper", yanchor: "top", xanchor: "left", text: point.model_version, showarrow: false, font: { color: colour("busy") } })),
  };
}

function rgba(hex, opacity) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

/** What the chart shows, in words. */
function summary(points, metric, findings) {
  const last = points.at(-1);
  const drifts = findings.filter((each) => each.severity === "drift").length;
  return `Chart of ${points.length} values of ${metric}; the newest is ${short(last.value)}, its window's mean ${short(last.mean)} with standard deviation ${short(last.std)}; ${drifts} drift findings.`;
}

/** The newest values as a table, for those who do not see the chart. */
export function valuesTable({ points, metric }) {
  const columns = [{ name: "When" }, { name: metric, class: "number" }, { name: "Window mean", class: "number" }, { name: "s.d.", class: "number" }, { name: "Version" }];
  const rows = points.slice(-30).reverse().map((each) => [utc(each.timestamp), short(each.value), short(each.mean), short(each.std), each.model_version || "—"]);
  return table("Newest values", columns, rows, "No values.");
}
