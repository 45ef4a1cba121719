// Alerts, dead letters and actions, of all models or, on a model's page, of one.

import { ago, chip, el, replace, table, utc } from "./elements.js";
import { ask } from "./api.js";
import { confirmAndAct, mute } from "./dialogs.js";

const named = (name) => (name ? el("a", { href: `#/model?${new URLSearchParams({ name })}`, "data-key": `to-${name}` }, name) : "—");

/** A page that asks once more whenever one of `topics` has news. */
function page(place, title, topics, load, ...controls) {
  const content = el("div", { class: "card" });
  place.replaceChildren(el("div", { class: "head" }, el("h1", {}, title), el("div", { class: "row actions" }, ...controls.filter(Boolean))), content);
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

export function alertsPage(place, query, me) {
  const firing = el("input", { type: "checkbox", checked: true, onchange: () => shown.draw() });
  const label = el("label", {}, firing, " only those that fire");
  const load = async () => {
    const [{ alerts }, { mutes }] = await Promise.all([ask("alerts", { firing: firing.checked, limit: 200 }), ask("mutes")]);
    return [alertTable(alerts, true, me), ...(mutes.length ? [el("h2", {}, "Muted"), muteTable(mutes, me)] : [])];
  };
  const button = me.role === "operate" ? el("button", { type: "button", "data-key": "mute", onclick: () => mute(me) }, "Mute …") : null;
  const shown = page(place, "Alerts", ["alerts", "status", "alert-handling"], load, label, button);
  return shown;
}

/** Mutes that have not ended. */
export function muteTable(mutes, me) {
  const columns = [{ name: "What" }, { name: "Until" }, { name: "Owner" }, { name: "Why", class: "wide" }];
  if (me.role === "operate") columns.push({ name: "" });
  const rows = mutes.map((each) => {
    const parts = [each.model_name, each.kind === "*" ? "all alerts" : each.kind.replaceAll("_", " "), each.rule === "*" ? null : `rule ${each.rule}`];
    const cells = [parts.filter(Boolean).join(" · "), utc(each.until), each.owner, `${each.reason}${each.actor === each.owner ? "" : ` (muted by ${each.actor})`}`];
    const end = { title: "Unmute", text: "The mute ends now, and what is still open is told.", confirm: "Unmute", action: "unmute", wish: { mute_id: each.event_id } };
    if (me.role === "operate") cells.push(el("button", { type: "button", class: "small", "data-key": `unmute-${each.event_id}`, onclick: () => confirmAndAct(end) }, "Unmute"));
    return cells;
  });
  return table("Mutes", columns, rows, "Nothing is muted.");
}

/** What people said of an open alert: chips with who, and until when. */
export function handled({ muted, acknowledged }) {
  return [
    muted ? el("span", { class: "chip muted", title: `by ${muted.actor}, until ${utc(muted.until)}: ${muted.reason}` }, "muted") : null,
    acknowledged ? el("span", { class: "chip acknowledged", title: `${utc(acknowledged.timestamp)} ${acknowledged.note}` }, `known to ${acknowledged.actor}`) : null,
  ].filter(Boolean);
}

/** Buttons to acknowledge and to mute something of a model that is open. */
export function handlingButtons(model_name, kind, { acknowledged, muted }, me) {
  const know = {
    title: `Acknowledge ${kind.replaceAll("_", " ")} of ${model_name}`, text: "Others see that you know of it, and it is not told again until it has resolved.",
    confirm: "Acknowledge", action: "acknowledge", wish: { model_name, kind },
  };
  const button = (label, onclick) => el("button", { type: "button", class: "small", "data-key": `${label}-${model_name}-${kind}`, onclick }, label);
  return el("span", { class: "row" }, acknowledged ? null : button("Acknowledge", () => confirmAndAct(know)), muted ? null : button("Mute", () => mute(me, { model_name, kind })));
}

/** Alerts as a table, with or without the models' names; with buttons for those that fire where who asks may act. */
export function alertTable(alerts, withModels, me) {
  const columns = [{ name: "When", plain: true }, { name: "Kind" }, { name: "State" }, { name: "What", class: "wide" }];
  const rows = alerts.map((each) => [
    ago(each.timestamp), each.kind.replaceAll("_", " "), el("span", { class: "row" }, chip(each.state === "resolved" ? "resolved" : each.severity), handled(each)), each.message,
  ]);
  if (me.role === "operate") {
    columns.push({ name: "" });
    rows.forEach((cells, index) => cells.push(alerts[index].open ? handlingButtons(alerts[index].model_name, alerts[index].kind, alerts[index], me) : ""));
  }
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
    const pattern = each.action.endsWith("mute") && /[*?[]/.test(each.model_name);
    if (withModels) cells.splice(2, 0, pattern ? each.model_name : named(each.model_name));
    return cells;
  });
  return table("Actions", columns, rows, "Nobody has done anything.");
}
