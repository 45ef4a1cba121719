// The index of models, and the sections that are made when somebody looks at them.
const read = (id) => { const found = document.getElementById(id); return found && JSON.parse(found.textContent); };
const summary = read("summary"), KINDS = summary.kinds, STEP = 200;
const [NAME, VERSIONS, METRICS, VALUES, COUNTS, FIRST, SPARK, DRIFTS] = [0, 1, 2, 3, 4, 5, 6, 7];
const count = (row, kind) => row[COUNTS][KINDS.indexOf(kind)];
const COLUMNS = [
  ["Model", (row) => row[NAME], false], ["Window mean", null, false], ["Values", (row) => row[VALUES], true], ["Drift", (row) => count(row, "drift"), true],
  ["Better", (row) => count(row, "better"), true], ["Warnings", (row) => count(row, "warning"), true], ["Below minimum", (row) => count(row, "breach"), true], ["Retrain", (row) => count(row, "retrain"), true],
  ["Alerts", (row) => count(row, "alert"), true], ["First drift (UTC)", (row) => row[FIRST] === null ? Infinity : row[FIRST], false]];
// A column that is empty for all is left out.
const SHOWN = COLUMNS.filter(([, of], at) => at < 4 || summary.index.some((row) => of(row) && of(row) !== Infinity));
const order = summary.index.map((row, at) => at), opened = new Map(), rows = new Map();
let sorting = { column: -1, up: true }, wanted = "", onlyFindings = false, limit = STEP;
const collator = new Intl.Collator("en", { numeric: true });
const box = document.getElementById("models"), body = html("tbody"), status = html("span", { class: "count", role: "status" });
const more = html("button", { type: "button", class: "button" }, "Show more");

function spark(row) {
  const width = 120, height = 26, levels = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_", text = row[SPARK];
  const made = node("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (!text) return made;
  const step = width / text.length, y = (at) => (height - 6 - levels.indexOf(text[at]) / 63 * (height - 9)).toFixed(1);
  const line = node("path", { d: `M0 ${y(0)}` + [...text].map((_, at) => `L${((at + .5) * step).toFixed(1)} ${y(at)}`).join("") + `H${width}` });
  line.style.cssText = "fill:none;stroke:var(--v0);stroke-width:1.3;stroke-linejoin:round";
  made.append(line);
  for (const at of row[DRIFTS]) { const tick = node("rect", { x: (at * step).toFixed(1), y: height - 4, width: Math.max(2, step).toFixed(1), height: 4 }); tick.style.fill = "var(--drift)"; made.append(tick); }
  return made;
}
function rowOf(at) {
  if (rows.has(at)) return rows.get(at);
  const row = summary.index[at], open = html("button", { type: "button", class: "open", "aria-expanded": "false" }, html("bdi", {}, row[NAME]));
  const made = html("tr", { class: "row" }, html("td", { class: "name" }, open), html("td", {}, spark(row)));
  for (const [, of, number] of SHOWN.slice(2)) {
    const value = of(row);
    made.append(number ? html("td", { class: value ? "n" : "n zero" }, grouped(value)) : html("td", { class: "time" }, row[FIRST] === null ? "" : when(row[FIRST]).slice(0, 16)));
  }
  made.addEventListener("click", () => { if (!String(getSelection())) toggle(at); });
  rows.set(at, made);
  return made;
}
const buttonOf = (at) => rowOf(at).querySelector(".open");
function toggle(at, open = !opened.has(at)) {
  if (open === opened.has(at)) return;
  buttonOf(at).setAttribute("aria-expanded", String(open));
  if (!open) { opened.get(at).remove(); opened.delete(at); return; }
  const section = html("tr", {}, html("td", { class: "section", colspan: SHOWN.length }));
  opened.set(at, section);
  rowOf(at).after(section);
  const inner = html("div", { class: "inner" });
  section.firstChild.append(inner);
  fill(inner, at);
}
const pending = new Map();
const watcher = window.IntersectionObserver && new IntersectionObserver((seen) => { for (const { isIntersecting, target } of seen) if (isIntersecting) make(target); }, { rootMargin: "400px" });
function make(host) { const act = pending.get(host); if (act) { pending.delete(host); if (watcher) watcher.unobserve(host); act(); } }
function later(host, act) { pending.set(host, act); if (watcher) watcher.observe(host); else make(host); }
function fill(cell, at) {
  const data = read(`model-${at}`);
  if (!data) { cell.append(html("p", { class: "hint" }, "No chart: the page keeps those of the models with the most findings.")); return; }
  const versions = summary.index[at][VERSIONS];
  if (versions > 1) cell.append(html("p", { class: "hint" }, `${versions} versions, each with a window of its own.`));
  const whole = data.marks;
  data.charts.forEach((chart, number) => {
    const host = html("div", { class: "chart waiting", id: `chart-${at}-${number}` });
    cell.append(host);
    later(host, () => new Chart(host, chart, whole, data.labels.filter(([, , metric]) => !metric || metric === chart.metric), KINDS));
  });
  if (!data.charts.length) cell.append(findings(whole.map(([kind, t, v, text, version]) => ({ kind: KINDS[kind], t, v, text, version }))));
}
function chosen() {
  const found = order.filter((at) => (!wanted || summary.index[at][NAME].toLowerCase().includes(wanted)) && (!onlyFindings || summary.index[at][COUNTS].some(Boolean)));
  if (sorting.column >= 0) {
    const of = SHOWN[sorting.column][1], sign = sorting.up ? 1 : -1;
    found.sort((one, other) => { const a = of(summary.index[one]), b = of(summary.index[other]); return sign * (typeof a === "string" ? collator.compare(a, b) : a === b ? 0 : a < b ? -1 : 1) || one - other; });
  }
  return found;
}
function list() {
  const found = chosen(), shown = found.slice(0, limit);
  body.replaceChildren(...shown.flatMap((at) => opened.has(at) ? [rowOf(at), opened.get(at)] : [rowOf(at)]));
  status.textContent = found.length === order.length ? `${grouped(found.length)} model${found.length === 1 ? "" : "s"}` : `${grouped(found.length)} of ${grouped(order.length)} models`;
  more.parentNode.hidden = shown.length === found.length;
  more.textContent = `Show ${grouped(Math.min(STEP, found.length - shown.length))} more`;
}
function sortBy(column, up) {
  sorting = { column, up };
  box.querySelectorAll("th").forEach((head, at) => { if (at === column) head.setAttribute("aria-sort", up ? "ascending" : "descending"); else head.removeAttribute("aria-sort"); });
  list();
}
function heads() {
  return SHOWN.map(([text, of, number], at) => {
    const head = html("th", { scope: "col", class: number ? "n" : "" });
    if (!of) { head.append(text); return head; }
    const button = html("button", { type: "button" }, text);
    button.addEventListener("click", () => sortBy(at, sorting.column === at ? !sorting.up : !number));
    head.append(button);
    return head;
  });
}
function tools() {
  const search = html("input", { type: "search", placeholder: "Search models", "aria-label": "Search models", autocomplete: "off", spellcheck: "false" });
  search.addEventListener("input", () => { wanted = search.value.trim().toLowerCase(); limit = STEP; list(); });
  const only = html("input", { type: "checkbox", id: "only" });
  only.addEventListener("change", () => { onlyFindings = only.checked; limit = STEP; list(); });
  const all = html("button", { type: "button", class: "button" }, "Open all"), none = html("button", { type: "button", class: "button" }, "Close all");
  all.addEventListener("click", () => chosen().slice(0, limit).forEach((at) => toggle(at, true)));
  none.addEventListener("click", () => [...opened.keys()].forEach((at) => toggle(at, false)));
  return html("div", { class: "tools" }, search, html("label", {}, only, " with findings only"), all, none, status);
}
function timeline() {
  const holder = document.getElementById("timeline"), shown = ["drift", "better", "warning", "breach", "retrain"].filter((kind) => summary.counts[KINDS.indexOf(kind)]);
  if (!shown.length || summary.begin === summary.end) { holder.remove(); return; }
  const stacks = summary.timeline[0].map((_, at) => shown.map((kind) => summary.timeline[KINDS.indexOf(kind)][at]));
  const most = Math.max(...stacks.map((stack) => stack.reduce((a, b) => a + b, 0)));
  const legend = html("ul", { class: "legend" }, html("li", {}, html("b", {}, "Findings over time")));
  for (const kind of shown) legend.append(html("li", {}, badge(kind), KIND_NAMES[kind]));
  const svg = node("svg", { class: "plot", role: "img", "aria-label": "How many findings fell into each part of the time" });
  const draw = () => {
    const width = holder.clientWidth - 30 || 1100, left = 40, bottom = 78, part = (width - left) / stacks.length;
    svg.setAttribute("viewBox", `0 0 ${width} 100`); svg.setAttribute("height", 100);
    const parts = [node("path", { d: `M${left} 8H${width}`, class: "grid" }), node("path", { d: `M${left} ${bottom}H${width}`, class: "base" }), node("text", { x: left - 6, y: 12, "text-anchor": "end" }, grouped(most))];
    stacks.forEach((stack, at) => {
      let y = bottom;
      stack.forEach((number, of) => {
        if (!number) return;
        const tall = Math.max(1, number / most * (bottom - 8)), bar = node("rect", { x: (left + at * part + .5).toFixed(1), y: (y -= tall).toFixed(1), width: Math.max(1, part - 1).toFixed(1), height: tall.toFixed(1) }, node("title", {}, `${grouped(number)} ${KIND_NAMES[shown[of]]}, from ${when(summary.begin + (summary.end - summary.begin) * at / stacks.length)} UTC`));
        bar.style.fill = `var(--${shown[of]})`;
        parts.push(bar);
      });
    });
    for (const [time, text, day] of timeTicks(summary.begin, summary.end, Math.max(2, Math.floor((width - left) / 110)))) {
      const x = left + (time - summary.begin) / (summary.end - summary.begin) * (width - left);
      parts.push(node("text", { x: x.toFixed(1), y: bottom + 16, "text-anchor": width - x < 40 ? "end" : x - left < 30 ? "start" : "middle" }, day ? `${day} ${text}` : text));
    }
    svg.replaceChildren(...parts);
  };
  holder.append(legend, svg);
  draw();
  if (window.ResizeObserver) new ResizeObserver(draw).observe(holder);
}
function start() {
  timeline();
  more.addEventListener("click", () => { limit += STEP; list(); });
  box.append(tools(), html("div", { class: "scroll" }, html("table", {}, html("thead", {}, html("tr", {}, ...heads())), body)), html("div", { class: "more" }, more));
  const room = () => box.style.setProperty("--room", `${box.clientWidth - 34}px`);
  room();
  addEventListener("resize", room);
  sortBy(summary.counts[0] ? 3 : 0, !summary.counts[0]);
  const few = chosen();
  few.slice(0, few.length <= 4 ? 4 : 1).forEach((at) => toggle(at, true));
  addEventListener("beforeprint", () => { for (const host of [...pending.keys()]) make(host); });
}
start();
