// The list of models: search, filter by state, sort and page are the API's; what is chosen is in the address.

import { ago, chip, el, replace, short } from "./elements.js";
import { ask } from "./api.js";

const ROWS = 50;
const COLUMNS = [
  { name: "Model", sort: "name" },
  { name: "State", sort: "state" },
  { name: "Mean at change", sort: "mean", class: "number" },
  { name: "Window", class: "number extra" },
  { name: "Version", class: "extra" },
  { name: "Findings", sort: "findings", class: "number extra" },
  { name: "Alerts", class: "number extra" },
  { name: "Changed", sort: "changed", class: "when" },
];

/** Shows the list in `place`. */
export function modelsPage(place, query) {
  let chosen = query;
  const search = el("input", {
    type: "search", id: "search", placeholder: "Search by name", "aria-label": "Search models by name", value: query.get("search") ?? "",
    oninput: () => go({ search: search.value, offset: null }),
  });
  const filters = el("div", { class: "row filters" });
  const list = el("div", { class: "card models" });
  const total = el("span", { class: "faint", role: "status" });
  place.replaceChildren(el("div", { class: "head" }, el("h1", {}, "Models"), total, el("div", { class: "actions" }, search)), filters, list);

  function go(changes) {
    for (const [name, value] of Object.entries(changes)) {
      chosen.delete(name);
      for (const each of [value].flat()) if (each !== null && each !== "" && each !== false) chosen.append(name, each);
    }
    history.replaceState(null, "", `#/models${chosen.size ? `?${chosen}` : ""}`);
    load();
  }

  let asking = null;
  async function load() {
    asking?.abort();
    const mine = (asking = new AbortController());
    const wanted = {
      search: chosen.get("search"), state: chosen.getAll("state"), sort: chosen.get("sort") ?? "state",
      descending: chosen.get("descending"), offset: chosen.get("offset") ?? 0, limit: ROWS,
    };
    try {
      draw(await ask("models", wanted, mine.signal), wanted);
    } catch (problem) {
      if (problem.name !== "AbortError" && !list.children.length) replace(list, el("p", { class: "empty" }, problem.message));
    }
  }

  function draw(found, wanted) {
    total.textContent = `${found.total.toLocaleString("en")} ${found.total === 1 ? "model" : "models"}`;
    const states = Object.entries(found.states).filter(([state, count]) => count || wanted.state.includes(state));
    replace(filters, ...states.map(([state, count]) => filter(state, count, wanted.state)));
    if (!found.models.length) {
      const none = wanted.search || wanted.state.length ? "No model is like that." : "No models yet: they appear when their fleets send metrics.";
      replace(list, el("p", { class: "empty" }, none));
      return;
    }
    replace(list, el("table", {}, el("thead", {}, el("tr", {}, COLUMNS.map((each) => heading(each, wanted)))), el("tbody", {}, found.models.map(row))), paging(found));
  }

  function filter(state, count, active) {
    const on = active.includes(state);
    const states = on ? active.filter((each) => each !== state) : [...active, state];
    return el(
      "button",
      { type: "button", class: `chip ${state}${count ? "" : " none"}`, "aria-pressed": String(on), "data-key": `filter-${state}`, onclick: () => go({ state: states, offset: null }) },
      `${state} ${count.toLocaleString("en")}`,
    );
  }

  function heading({ name, sort, class: kind }, wanted) {
    if (!sort) return el("th", { scope: "col", class: kind }, name);
    const on = wanted.sort === sort;
    const down = on && wanted.descending === "true";
    const next = on ? !down : sort === "changed" || sort === "findings";
    return el(
      "th",
      { scope: "col", class: kind, "aria-sort": on ? (down ? "descending" : "ascending") : null },
      el("button", { type: "button", "data-key": `sort-${sort}`, onclick: () => go({ sort, descending: next ? "true" : null, offset: null }) }, name),
    );
  }

  function paging({ offset, limit, total }) {
    const button = (name, to) =>
      el("button", { type: "button", "data-key": `page-${name}`, disabled: to < 0 || to >= total || to === offset, onclick: () => go({ offset: to || null }) }, name);
    const count = `${(offset + 1).toLocaleString("en")}–${Math.min(offset + limit, total).toLocaleString("en")} of ${total.toLocaleString("en")}`;
    return el("nav", { class: "paging", "aria-label": "Pages of the list" }, el("span", { class: "faint" }, count), button("Previous", Math.max(0, offset - limit)), button("Next", offset + limit));
  }

  let due = null;
  const later = () => {
    due ??= setTimeout(() => {
      due = null;
      load();
    }, 700);
  };
  load();
  return {
    update: (news) => (news.everything || news.topics.some((topic) => topic !== "metrics")) && later(),
    moved: (query) => {
      chosen = query;
      search.value = query.get("search") ?? "";
      load();
      return true;
    },
    close: () => {
      clearTimeout(due);
      asking?.abort();
    },
  };
}

function row(model) {
  const link = `#/model?${new URLSearchParams({ name: model.model_name })}`;
  const deviation = model.std === null ? null : el("span", { class: "faint small" }, ` ± ${short(model.std)}`);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("a", { href: link, "data-key": `model-${model.model_name}` }, model.model_name)),
    el("td", {}, chip(model.state)),
    el("td", { class: "number", title: model.metric }, short(model.mean), deviation),
    el("td", { class: "number extra" }, model.size === null ? "—" : `${model.count} of ${model.size}`),
    el("td", { class: "extra" }, model.model_version || "—"),
    el("td", { class: "number extra" }, model.findings),
    el("td", { class: "number extra" }, model.alerts),
    el("td", { class: "when" }, ago(model.changed)),
  );
}
