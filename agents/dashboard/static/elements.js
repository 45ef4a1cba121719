// Makes elements. Texts are set as text, never as HTML: names and reasons come from outside.

/** An element: `el("td", {class: "number"}, "0.93")`. Properties that begin with "on" are listeners; null is left out. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A state, a severity or an outcome: a word with a sign, so that colour alone says nothing. */
export const chip = (state) => el("span", { class: `chip ${state}` }, state);

/** A time as how long ago it was; its full form in UTC where one points at it. */
export function ago(timestamp) {
  if (!timestamp) return el("span", { class: "faint" }, "—");
  const seconds = Math.max(0, (Date.now() - Date.parse(timestamp)) / 1000);
  const [value, unit] =
    seconds < 90 ? [seconds, "s"] : seconds < 5400 ? [seconds / 60, "min"] : seconds < 172800 ? [seconds / 3600, "h"] : [seconds / 86400, "days"];
  return el("time", { datetime: timestamp, title: utc(timestamp) }, `${Math.round(value)} ${unit} ago`);
}

/** A time in UTC, to the second. */
export const utc = (timestamp) => timestamp.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");

/** A number in at most four digits. */
export function short(value) {
  if (value === null || value === undefined) return "—";
  if (typeof value !== "number") return String(value);
  return Math.abs(value) >= 10000 || (value !== 0 && Math.abs(value) < 0.001) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** A table in a box that scrolls by itself where it is wider than the page. `rows` are lists of cells or nodes. */
export function table(label, columns, rows, empty) {
  if (!rows.length) return el("p", { class: "empty" }, empty);
  const cell = (content, index) => {
    const column = columns[index];
    return index === 0 && !column.plain
      ? el("th", { scope: "row" }, content)
      : el("td", { class: column.class, "data-label": column.name }, content);
  };
  return el(
    "div",
    { class: "scroll stacked", tabindex: "0", role: "region", "aria-label": label },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col", class: column.class }, column.name)))),
      el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map(cell)))),
    ),
  );
}

/** Puts new content in place of the old, and keyboard focus back on what has the same `data-key`. */
export function replace(place, ...content) {
  const held = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const open = new Set([...place.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  place.replaceChildren(...content);
  for (const each of place.querySelectorAll("details")) if (open.has(each.dataset.key)) each.open = true;
  if (held) place.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

/** Shows a line at the edge of the page for a while; screen readers read it out. */
export function tell(text) {
  const told = document.getElementById("told");
  told.textContent = text;
  told.classList.add("shown");
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => told.classList.remove("shown"), 6000);
}
