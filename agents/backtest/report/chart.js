"use strict";
// One chart: a metric's values, window mean and band over event time, with what was said of it.
const SVG = "http://www.w3.org/2000/svg";
const KIND_NAMES = { drift: "drift, worse", better: "change for the better", warning: "warning", breach: "below the minimum",
  external: "other monitor's drift", retrain: "retrain request", alert: "alert", resolved: "alert resolved" };
const SHAPES = {
  drift: "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z", better: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", warning: "M0-5L5 4H-5z",
  breach: "M0 5L5-4H-5z", external: "M0-5.5L5.5 0L0 5.5L-5.5 0z", retrain: "M-.8-6H7L4.4-2.6L7 .8H.8V6H-.8z", alert: "M-4-4H4V4H-4z",
  resolved: "M-3.5-3.5H3.5V3.5H-3.5z" };
const HOLLOW = { better: true, resolved: true };
const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE,
  15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function node(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function html(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function symbol(kind, x, y, scale = 1) {
  const paint = HOLLOW[kind] ? `fill:var(--card);stroke:var(--${kind});stroke-width:1.8` : `fill:var(--${kind})`;
  const made = node("path", { d: SHAPES[kind], transform: `translate(${x} ${y})${scale === 1 ? "" : ` scale(${scale})`}`, class: HOLLOW[kind] ? "" : "halo" });
  made.style.cssText = paint;
  return made;
}
function badge(kind) {
  return node("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, symbol(kind, 0, 0));
}
const grouped = (number) => number.toLocaleString("en-US");
function figure(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(3);
  return String(Number(value.toPrecision(6)));
}
const two = (number) => String(number).padStart(2, "0");
function when(time, fine) {
  const text = new Date(time).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, fine && time % 1000 ? 23 : 19)}`;
}
function timeTicks(begin, end, most) {
  const step = STEPS.find((each) => (end - begin) / each <= most);
  const ticks = [];
  if (step === undefined) {
    const months = [1, 2, 3, 6, 12, 24, 60, 120, 240].find((each) => (end - begin) / (each * 30.4 * DAY) <= most) || 600;
    const first = new Date(begin);
    for (let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months; ; month += months) {
      const time = Date.UTC(Math.floor(month / 12), month % 12);
      if (time > end) break;
      if (time >= begin) ticks.push([time, month % 12 && months < 12 ? MONTHS[month % 12] : String(Math.floor(month / 12))]);
    }
    return ticks;
  }
  const decimals = step >= SECOND ? 0 : 3;
  let day = "";
  for (let time = Math.ceil(begin / step) * step; time <= end; time += step) {
    const date = new Date(time), today = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
    let text = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
    if (step < MINUTE) text += `:${two(date.getUTCSeconds())}` + (decimals ? `.${String(date.getUTCMilliseconds()).padStart(3, "0")}` : "");
    ticks.push([time, step >= DAY ? today : text, step < DAY && today !== day ? today : ""]);
    day = today;
  }
  return ticks;
}
function numberTicks(low, high, most) {
  const raw = high / most - low / most;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw)), unit = [1, 2, 2.5, 5, 10].find((each) => each * power >= raw * .999) * power, ticks = [];
  const decimals = Math.max(0, Math.min(12, -Math.floor(Math.log10(unit)) + (unit / power === 2.5 ? 1 : 0)));
  for (let tick = Math.ceil(low / unit); tick * unit <= high * (1 + 1e-12) && ticks.length < 40; tick += 1) {
    const value = tick * unit;
    ticks.push([value, Math.abs(value) >= 1e6 || unit < 1e-6 ? figure(value) : value.toFixed(decimals)]);
  }
  return ticks;
}

class Chart {
  constructor(host, chart, whole, labels, kinds) {
    Object.assign(this, { host, chart, labels, kinds });
    this.binary = chart.binary;
    this.hidden = new Set(this.binary ? ["value", "band"] : []);
    this.series = chart.series.map((each) => this.decoded(each)).filter((each) => each.t.length);
    const own = chart.marks.map((mark) => this.mark(mark, false)), shared = whole.map((mark) => this.mark(mark, true));
    this.marks = own.concat(shared).sort((one, other) => one.t - other.t);
    const times = this.series.flatMap((each) => [each.t[0], each.t[each.t.length - 1]]).concat(this.marks.map((mark) => mark.t));
    this.begin = times.reduce((a, b) => Math.min(a, b), Infinity);
    this.end = times.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!Number.isFinite(this.begin)) this.begin = this.end = 0;
    if (this.begin === this.end) { this.begin -= 500; this.end += 500; }
    this.view = [this.begin, this.end];
    this.build();
  }
  decoded(series) {
    let time = 0;
    return { ...series, t: series.t.map((step) => (time += step)) };
  }
  mark([kind, t, v, text, version, mean], whole) {
    return { kind: this.kinds[kind], t, v, mean, text, version, lane: whole || v === null };
  }
  // Marks lie on the values; where these are hidden because they are 0 or 1, on the window's mean.
  shownValue(mark) { return this.binary && this.hidden.has("value") && mark.mean !== null ? mark.mean : mark.v; }
  get deviations() { return this.chart.deviations === null ? 1 : this.chart.deviations; }

  build() {
    const { chart, host } = this, title = chart.metric + (chart.segment ? ` · ${chart.segment}` : "");
    const watched = chart.detector ? `watched by ${chart.detector}` + (chart.deviations === null ? "" : ` at ±${chart.deviations} standard deviations`) : "not watched";
    host.classList.remove("waiting");
    this.name = title;
    this.svg = node("svg", { class: "plot", tabindex: 0, role: "img", "aria-label": `${title}: ${watched}. Arrow keys read values, N and P go to findings, plus and minus zoom, 0 shows all.` });
    this.tip = html("div", { class: "tip", hidden: "" });
    this.live = html("div", { class: "sr", "aria-live": "polite" });
    host.replaceChildren(html("header", {}, html("h3", {}, title), html("span", { class: "hint" }, `${watched}; window of ${grouped(chart.size)}`)),
      this.legend(), this.svg, this.tip, this.live, html("p", { class: "hint" }, this.told()), ...this.table());
    this.listen();
    this.draw();
    if (window.ResizeObserver) new ResizeObserver(() => { if (host.clientWidth !== this.width) this.draw(); }).observe(host);
  }
  told() {
    const parts = this.series.map((each) => {
      const of = this.series.length > 1 ? `version ${each.version || "(none)"}: ` : "";
      return each.width === 1 ? `${of}all ${grouped(each.count)} values drawn`
        : `${of}${grouped(each.t.length)} points stand for ${grouped(each.count)} values: of each ${grouped(each.width)} the first, the last and the extremes of value and mean`;
    });
    const said = this.chart.counts.reduce((a, b) => a + b, 0), drawn = this.chart.marks.length;
    if (drawn < said) parts.push(`${grouped(drawn)} marks stand for ${grouped(said)} findings: of equal groups the first, the last and the extremes`);
    if (this.binary) parts.push("values are 0 or 1, so their share in the window is shown");
    const most = 6, rest = parts.length - most;
    const told = (rest > 1 ? [...parts.slice(0, most), `${rest} more alike`] : parts).join("; ");
    return told.charAt(0).toUpperCase() + told.slice(1) + (told ? "." : "");
  }
  legend() {
    const list = html("ul", { class: "legend" });
    const add = (key, text, line) => {
      const button = html("button", { type: "button", "aria-pressed": String(!this.hidden.has(key)) }, line, text);
      button.addEventListener("click", () => {
        this.hidden.has(key) ? this.hidden.delete(key) : this.hidden.add(key);
        button.setAttribute("aria-pressed", String(!this.hidden.has(key)));
        this.draw();
      });
      list.append(html("li", {}, button));
    };
    const line = (name, width) => {
      const made = node("svg", { width: 18, height: 10, "aria-hidden": "true" }, name === "band" ? node("rect", { width: 18, height: 10, class: "band" }) : node("path", { d: "M0 5H18", class: name }));
      made.firstChild.style.cssText = name === "band" ? "fill:var(--v0);opacity:.25" : "stroke:var(--v0)";
      return made;
    };
    add("value", "values", line("value"));
    add("mean", "window mean", line("mean"));
    add("band", `± ${this.deviations === 1 ? "" : figure(this.deviations) + " "}std`, line("band"));
    for (const kind of this.kinds) if (this.marks.some((mark) => mark.kind === kind)) add(kind, KIND_NAMES[kind], badge(kind));
    if (this.chart.limits.length) list.append(html("li", {}, node("svg", { width: 18, height: 10, "aria-hidden": "true" }, node("path", { d: "M0 5H18", class: "limit" })), "limit"));
    if (this.labels.length) list.append(html("li", {}, node("svg", { width: 14, height: 11, "aria-hidden": "true" }, node("rect", { x: .5, y: .5, width: 13, height: 10, class: "labelled" })), "labelled"));
    this.reset = html("button", { type: "button", class: "button", hidden: "" }, "Show all");
    this.reset.addEventListener("click", () => { this.zoom(this.begin, this.end); this.svg.focus(); });
    if (this.series.length > 1) this.series.slice(0, 6).forEach((each, at) => {
      const sample = node("svg", { width: 12, height: 10, "aria-hidden": "true" }, node("rect", { y: 3, width: 12, height: 4 }));
      sample.firstChild.style.fill = `var(--v${at % 6})`;
      list.append(html("li", {}, sample, `version ${each.version || "(none)"}`));
    });
    list.append(html("li", { class: "zoom" }, this.reset));
    return list;
  }
  table() {
    const marks = this.marks;
    if (!marks.length) return [];
    const made = html("details", {}, html("summary", {}, `${grouped(marks.length)} marks as a table`));
    made.addEventListener("toggle", () => {
      if (!made.open || made.querySelector("table")) return;
      made.append(findings(marks));
    });
    return [made];
  }

  frame() {
    const [begin, end] = this.view, width = this.width, left = 58, right = 14, top = 36, height = this.height, bottom = 34;
    this.x = (time) => left + (time - begin) / (end - begin) * (width - left - right);
    this.time = (x) => begin + (x - left) / (width - left - right) * (end - begin);
    this.box = { left, right: width - right, top, bottom: height - bottom };
  }
  inside(series) {
    const { t } = series, [begin, end] = this.view;
    const find = (time, after) => { let low = 0, high = t.length; while (low < high) { const middle = (low + high) >> 1; (after ? t[middle] <= time : t[middle] < time) ? low = middle + 1 : high = middle; } return low; };
    return [Math.max(0, find(begin, false) - 1), Math.min(t.length, find(end, true) + 1)];
  }
  domain() {
    let low = Infinity, high = -Infinity, wide = [Infinity, -Infinity];
    const take = (value) => { if (value < low) low = value; if (value > high) high = value; };
    for (const each of this.series) {
      const [from, to] = this.inside(each);
      for (let at = from; at < to; at += 1) {
        if (!this.hidden.has("value")) take(each.v[at]);
        if (!this.hidden.has("mean")) take(each.m[at]);
        if (!this.hidden.has("band")) { wide[0] = Math.min(wide[0], each.m[at] - this.deviations * each.s[at]); wide[1] = Math.max(wide[1], each.m[at] + this.deviations * each.s[at]); }
      }
    }
    for (const mark of this.marks) if (!mark.lane && !this.hidden.has(mark.kind) && mark.t >= this.view[0] && mark.t <= this.view[1]) take(this.shownValue(mark));
    if (low > high) [low, high] = wide[0] <= wide[1] ? wide : [0, 1];
    const span = high - low || Math.abs(high) * 1e-3 || 1;
    for (const limit of this.chart.limits) { if (limit < low && limit > low - 1.5 * span) low = limit; if (limit > high && limit < high + 1.5 * span) high = limit; }
    // The band may be far wider than what it is about: then it is cut off, so that values stay readable.
    if (wide[0] <= wide[1]) { low = Math.min(low, Math.max(wide[0], low - .6 * span)); high = Math.max(high, Math.min(wide[1], high + .6 * span)); }
    const pad = (high - low || span) * .05, ratio = this.chart.ratio && low >= 0 && high <= 1;
    [low, high] = [low - pad, high + pad];
    return Number.isFinite(high - low) ? [ratio ? Math.max(low, -.02) : low, ratio ? Math.min(high, 1.02) : high] : [-Number.MAX_VALUE, Number.MAX_VALUE];
  }
  path(series, column) {
    const [from, to] = this.inside(series), { t, v, m } = series, y = this.y, of = column === "value" ? v : m;
    const ticks = column === "value" && this.binary, parts = [];
    for (let at = from; at < to; at += 1) parts.push(`${ticks || at === from || t[at] - t[at - 1] > series.gap ? at === from ? "M" : "h.1M" : "L"}${this.x(t[at]).toFixed(1)} ${y(of[at]).toFixed(1)}${ticks ? "v" + (of[at] ? 6 : -6) : ""}`);
    return parts.length ? parts.join("") + "h.1" : "";
  }
  bandPath(series) {
    const [from, to] = this.inside(series), k = this.deviations, pieces = [];
    let upper = [], lower = [];
    const finish = () => { if (upper.length) pieces.push(`M${upper.concat(lower.reverse()).join("L")}z`); upper = []; lower = []; };
    for (let at = from; at < to; at += 1) {
      if (at > from && series.t[at] - series.t[at - 1] > series.gap) finish();
      const x = this.x(series.t[at]).toFixed(1), edge = (sign) => Math.max(-1e4, Math.min(1e4, this.y(series.m[at] + sign * k * series.s[at]))).toFixed(1);
      upper.push(`${x} ${edge(1)}`); lower.push(`${x} ${edge(-1)}`);
    }
    finish();
    return pieces.join("");
  }
  draw() {
    this.width = this.host.clientWidth || 1040;
    this.height = this.width < 560 ? 230 : 284;
    this.frame();
    const [low, high] = this.domain(), { left, right, top, bottom } = this.box, { svg } = this;
    this.y = (value) => bottom - (value / 2 - low / 2) / (high / 2 - low / 2) * (bottom - top);
    svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    svg.setAttribute("height", this.height);
    const clip = `clip-${this.host.id}`, area = node("g", { "clip-path": `url(#${clip})` });
    const parts = [node("clipPath", { id: clip }, node("rect", { x: left, y: top - 1, width: right - left, height: bottom - top + 2 }))];
    for (const [begin, end] of this.labels) {
      if (end < this.view[0] || begin > this.view[1]) continue;
      const from = Math.max(left, this.x(begin)), to = Math.min(right, this.x(end));
      const shade = node("rect", { x: from.toFixed(1), y: 4, width: Math.max(2, to - from).toFixed(1), height: bottom - 4, class: "labelled" }, node("title", {}, `labelled: ${when(begin)} to ${when(end)}`));
      parts.push(shade);
    }
    for (const [value, text] of numberTicks(low, high, 5)) {
      const y = this.y(value).toFixed(1);
      parts.push(node("path", { d: `M${left} ${y}H${right}`, class: "grid" }), node("text", { x: left - 8, y: +y + 4, "text-anchor": "end" }, text));
    }
    this.axis(parts);
    this.series.forEach((each, at) => this.line(area, each, at));
    for (const limit of this.chart.limits) area.append(node("path", { d: `M${left} ${this.y(limit).toFixed(1)}H${right}`, class: "limit" }, node("title", {}, `limit ${figure(limit)}`)));
    this.cross = node("path", { class: "cross", d: "" });
    this.brush = node("rect", { class: "brush", y: top, height: bottom - top, width: 0 });
    svg.replaceChildren(...parts, area, ...this.drawMarks(), this.cross, this.brush);
    this.reset.hidden = this.view[0] <= this.begin && this.view[1] >= this.end;
  }
  axis(parts) {
    const { left, right, bottom } = this.box, ticks = timeTicks(this.view[0], this.view[1], Math.max(2, Math.floor((right - left) / 92)));
    parts.push(node("path", { d: `M${left} ${bottom}H${right}`, class: "base" }), node("text", { x: 2, y: bottom + 16 }, "UTC"));
    ticks.forEach(([time, text, day]) => {
      const x = this.x(time).toFixed(1), anchor = right - x < 24 ? "end" : "middle";
      parts.push(node("path", { d: `M${x} ${bottom}v5`, class: "base" }), node("text", { x, y: bottom + 16, "text-anchor": anchor }, text));
      if (day) parts.push(node("text", { x, y: bottom + 29, "text-anchor": anchor }, day));
    });
  }
  line(area, series, at) {
    const colour = `var(--v${at % 6})`, add = (name, attributes, style) => { const made = node("path", { class: name, ...attributes }); made.style.cssText = style; area.append(made); };
    if (!this.hidden.has("band")) add("band", { d: this.bandPath(series) }, `fill:${colour}`);
    if (!this.hidden.has("value")) add("value", { d: this.path(series, "value") }, `stroke:${colour}`);
    if (!this.hidden.has("mean")) add("mean", { d: this.path(series, "mean") }, `stroke:${colour}`);
    if (this.series.length > 1) {
      const x = this.x(series.t[0]);
      if (series.t[0] > this.begin && x >= this.box.left && x <= this.box.right) area.append(node("path", { d: `M${x.toFixed(1)} ${this.box.top}V${this.box.bottom}`, class: "begins" }, node("title", {}, `version ${series.version} begins`)));
    }
  }
  drawMarks() {
    const drawn = [], { left, right, top, bottom } = this.box;
    const shown = this.marks.filter((mark) => { const x = this.x(mark.t); return !this.hidden.has(mark.kind) && x >= left - 1 && x <= right + 1; });
    const scale = shown.length > 150 ? .6 : 1;
    for (const mark of shown) {
      const x = this.x(mark.t);
      const y = mark.kind === "retrain" ? 10 : mark.lane ? 24 : Math.max(top, Math.min(bottom, this.y(this.shownValue(mark))));
      if (mark.kind === "retrain") { const line = node("path", { d: `M${x.toFixed(1)} 12V${bottom}` }); line.style.cssText = `stroke:var(--retrain);stroke-width:1;opacity:${scale === 1 ? .55 : .2}`; drawn.unshift(line); }
      drawn.push(symbol(mark.kind, x.toFixed(1), y.toFixed(1), scale));
    }
    return drawn;
  }

  zoom(begin, end) {
    const least = Math.max(1, (this.end - this.begin) * 1e-5);
    if (end - begin < least) [begin, end] = [(begin + end - least) / 2, (begin + end + least) / 2];
    this.view = [Math.max(this.begin, begin), Math.min(this.end, end)];
    this.tip.hidden = true;
    this.draw();
  }
  listen() {
    const { svg } = this, at = (event) => event.clientX - svg.getBoundingClientRect().left;
    let from = null;
    svg.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType !== "touch") { from = at(event); svg.setPointerCapture(event.pointerId); } });
    svg.addEventListener("pointermove", (event) => {
      if (from === null) { this.point(at(event)); return; }
      this.brush.setAttribute("x", Math.min(from, at(event)));
      this.brush.setAttribute("width", Math.abs(at(event) - from));
    });
    svg.addEventListener("pointerup", (event) => {
      const to = at(event), started = from;
      from = null;
      if (started !== null && Math.abs(to - started) > 6) this.zoom(this.time(Math.min(started, to)), this.time(Math.max(started, to)));
      else this.brush.setAttribute("width", 0);
    });
    svg.addEventListener("pointerleave", () => { this.tip.hidden = true; this.cross.setAttribute("d", ""); });
    svg.addEventListener("dblclick", () => this.zoom(this.begin, this.end));
    svg.addEventListener("keydown", (event) => this.key(event));
  }
  key(event) {
    const [begin, end] = this.view, middle = this.here === undefined ? (begin + end) / 2 : this.here, times = () => this.series.flatMap((each) => each.t).sort((a, b) => a - b);
    const jump = (list, forward) => forward ? list.find((time) => time > middle) : list.findLast((time) => time < middle);
    const acts = {
      ArrowRight: () => this.goTo(jump(times(), true)), ArrowLeft: () => this.goTo(jump(times(), false)),
      n: () => this.goTo(jump(this.marks.map((mark) => mark.t), true)), p: () => this.goTo(jump(this.marks.map((mark) => mark.t), false)),
      "+": () => this.zoom(middle - (end - begin) / 4, middle + (end - begin) / 4), "-": () => this.zoom(middle - (end - begin), middle + (end - begin)),
      0: () => this.zoom(this.begin, this.end), Escape: () => { this.tip.hidden = true; } };
    const act = acts[event.key] || acts[event.key.toLowerCase()];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) { act(); event.preventDefault(); }
  }
  goTo(time) {
    if (time === undefined) return;
    const [begin, end] = this.view;
    if (time < begin || time > end) this.zoom(time - (end - begin) / 2, time + (end - begin) / 2);
    this.point(this.x(time));
    this.live.textContent = this.tip.textContent;
  }
  nearest(x) {
    let best = null;
    for (const series of this.series) {
      const [from, to] = this.inside(series);
      for (let at = from; at < to; at += 1) {
        const far = Math.abs(this.x(series.t[at]) - x);
        if (!best || far < best.far) best = { far, series, at };
      }
    }
    return best;
  }
  point(x) {
    const best = this.nearest(x), near = this.marks.filter((mark) => !this.hidden.has(mark.kind) && Math.abs(this.x(mark.t) - x) < 6);
    const lines = [];
    let time = near.length ? near[0].t : null;
    if (best && (time === null || best.far < 6)) {
      const { series, at } = best;
      time = series.t[at];
      lines.push([`${when(time, true)} UTC`, series.version ? `version ${series.version}` : ""], ["value", figure(series.v[at])], ["window mean", figure(series.m[at])], ["std", figure(series.s[at])]);
    } else if (time !== null) lines.push([`${when(time, true)} UTC`, ""]);
    if (time === null) return;
    this.here = time;
    for (const mark of near.slice(0, 4)) lines.push([KIND_NAMES[mark.kind], mark.v === null ? mark.text : `${figure(mark.v)}, ${mark.text}`]);
    if (near.length > 4) lines.push(["and", `${near.length - 4} more`]);
    this.tip.replaceChildren(...lines.map(([name, text]) => html("div", {}, html("b", {}, name), " ", text)));
    this.tip.hidden = false;
    const place = this.x(time), { offsetTop } = this.svg;
    this.cross.setAttribute("d", `M${place.toFixed(1)} ${this.box.top}V${this.box.bottom}`);
    this.tip.style.top = `${(offsetTop === undefined ? 60 : offsetTop) + 30}px`;
    this.svg.dataset.at = String(time);
    const room = this.tip.offsetWidth;
    this.tip.style.left = `${place + 14 + room > this.width ? Math.max(0, place - room - 14) : place + 14}px`;
    this.tip.style.top = `${this.svg.getBoundingClientRect().top - this.host.getBoundingClientRect().top + 30}px`;
  }
}

function findings(marks) {
  const body = html("tbody"), holder = html("div", { class: "scroll" }, html("table", {}, html("thead", {}, html("tr", {}, ...["Time (UTC)", "What", "Version", "Value", "Details"].map((text) => html("th", { scope: "col" }, text)))), body));
  let shown = 0;
  const more = html("button", { type: "button", class: "button" }, "Show more");
  const add = () => {
    for (const mark of marks.slice(shown, shown + 200)) {
      const kind = html("td", { class: "kind" }, badge(mark.kind), ` ${KIND_NAMES[mark.kind]}`);
      body.append(html("tr", {}, html("td", { class: "time" }, when(mark.t, true)), kind, html("td", {}, mark.version), html("td", { class: "n" }, mark.v === null ? "" : figure(mark.v)), html("td", {}, mark.text)));
    }
    shown += 200;
    more.hidden = shown >= marks.length;
  };
  more.addEventListener("click", add);
  add();
  return html("div", {}, holder, more);
}
