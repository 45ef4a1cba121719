// Alerts, dead letters and actions, of all models or, on a model's page, of one.

import { ago, chip, el, replace, table } from "./elements.js";
import { ask } from "./api.js";
import { confirmAndAct } from "./dialogs.js";

const named = (name) => (name ? el("a", { href: `#/model?${new URLSearchParams({ name })}`, "data-key": `to-${name}` }, name) : "—");

/** A page that asks once more whenever one of `topics` has news. */
function page(place, title, topics, load, ...controls) {
  const content = el("div", { class: "card" });
  place.replaceChildren(el("div", { class: "head" }, el("h1", {}, title), el("div", { class: "row actions" }, ...controls)), content);
  let due = null;
  const draw = async () => {
    due = null;
    try {
      replace(content, ...[await load()].flat());
    } catch (problem) {
      if (!content.children.length) replace(content, el("p", { class: "empty" }, problem.message));
    }
  };
  draw();
  return {
    draw,
    update: (news) => {
      if (news.everything || news.topics.some((topic) => topics.includes(topic))) due ??= setTimeout(draw, 500);
    },
    close: () => clearTimeout(due),
  };
}

export function alertsPage(place) {
  const firing = el("input", { type: "checkbox", checked: true, onchange: () => shown.draw() });
  const label = el("label", {}, firing, " only those that fire");
  const load = async () => alertTable((await ask("alerts", { firing: firing.checked, limit: 200 })).alerts, true);
  const shown = page(place, "Alerts", ["alerts", "status"], load, label);
  return shown;
}

/** Alerts as a table, with or without the models' names. */
export function alertTable(alerts, withModels) {
  const columns = [{ name: "When", plain: true }, { name: "Kind" }, { name: "State" }, { name: "What", class: "wide" }];
  const rows = alerts.map((each) => [
    ago(each.timestamp), each.kind.replaceAll("_", " "), chip(each.state === "resolved" ? "resolved" : each.severity), each.message,
  ]);
  if (withModels) {
    columns.splice(1, 0, { name: "Model" });
    rows.forEach((cells, index) => cells.splice(1, 0, named(alerts[index].model_name)));
  }
  return table("Alerts", columns, rows, "No alerts.");
}

export function lettersPage(place, query, me) {
  const reason = el("input", { type: "search", placeholder: "Search by reason", "aria-label": "Search dead letters by reason", oninput: () => ((offset = 0), shown.draw()) });
  const rows = 50;
  let offset = 0;
  const load = async () => {
    const found = await ask("dead-letters", { reason: reason.value, offset, limit: rows });
    const move = (to) => () => ((offset = to), shown.draw());
    const button = (name, to) => el("button", { type: "button", "data-key": name, disabled: to < 0 || to >= found.total, onclick: move(to) }, name);
    const count = found.total ? `${offset + 1}–${Math.min(offset + rows, found.total)} of ${found.total}` : "";
    const paging = el("nav", { class: "paging", "aria-label": "Pages of the list" }, el("span", { class: "faint" }, count), button("Previous", offset - rows), button("Next", offset + rows));
    return [letterTable(found.dead_letters, me, true), found.total > rows ? paging : null].filter(Boolean);
  };
  const shown = page(place, "Dead letters", ["dead-letter", "audit"], load, reason);
  return shown;
}

/** Dead letters as a table; with a button each where who asks may act. */
export function letterTable(letters, me, withModels) {
  const columns = [{ name: "When", plain: true }, { name: "Reason", class: "wide" }, { name: "Record", class: "wide" }];
  if (withModels) columns.splice(1, 0, { name: "Model" });
  if (me.role === "operate") columns.push({ name: "" });
  const rows = letters.map((each) => {
    const where = `${each.topic}/${each.partition}@${each.offset}, ${each.value_size} bytes, set aside by ${each.stage}`;
    const value = el("details", { "data-key": each.event_id }, el("summary", { class: "small" }, where), el("pre", {}, each.preview || "(no value)"));
    const cells = [ago(each.timestamp), each.reason, value];
    if (withModels) cells.splice(1, 0, named(each.model_name));
    if (me.role === "operate") cells.push(retryButton(each));
    return cells;
  });
  return table("Dead letters", columns, rows, "No dead letters.");
}

function retryButton(letter) {
  const ask = {
    title: "Retry the record",
    text: `It is sent in again, unchanged, to ${letter.topic}. What stopped it should have been mended: ${letter.reason}`,
    confirm: "Retry", action: "retry-dead-letter", wish: { event_id: letter.event_id },
  };
  const why = letter.whole ? null : "Only its beginning was kept";
  return el("button", { type: "button", class: "small", "data-key": `retry-${letter.event_id}`, disabled: !letter.whole, title: why, onclick: () => confirmAndAct(ask) }, "Retry");
}

export function actionsPage(place) {
  return page(place, "Actions", ["audit"], async () => actionTable((await ask("actions", { limit: 200 })).actions, true));
}

/** What people did, as a table. */
export function actionTable(actions, withModels) {
  const columns = [{ name: "When", plain: true }, { name: "Who" }, { name: "Action" }, { name: "Of" }, { name: "Why", class: "wide" }];
  if (withModels) columns.splice(2, 0, { name: "Model" });
  const rows = actions.map((each) => {
    const cells = [ago(each.timestamp), each.actor, each.action.replaceAll("_", " "), each.subject || "—", each.note || "—"];
    if (withModels) cells.splice(2, 0, named(each.model_name));
    return cells;
  });
  return table("Actions", columns, rows, "Nobody has done anything through the dashboard.");
}
