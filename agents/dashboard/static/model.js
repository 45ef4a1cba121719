// One model: its chart, rules, findings, studies, versions with lineage, alerts, dead letters, and what may be done.

import { actionTable, alertTable, handled, handlingButtons, letterTable, muteTable } from "./lists.js";
import { ago, chip, el, replace, short, table } from "./elements.js";
import { ask } from "./api.js";
import { confirmAndAct, mute } from "./dialogs.js";
import { draw, valuesTable } from "./chart.js";
import { lineageTree } from "./lineage.js";

/** Which parts show what comes from which topics. */
const PARTS = {
  about: ["status", "models", "alerts", "retrain", "trials", "alert-handling"], chart: ["metrics", "drift"], findings: ["drift"], studies: ["retrain", "trials"],
  versions: ["models"], alerts: ["alerts", "alert-handling"], letters: ["dead-letter"], actions: ["audit"],
};

/** Shows the model that `query` names in `place`. */
export function modelPage(place, query, me) {
  const name = query.get("name") ?? "";
  const about = { model_name: name };
  const places = Object.fromEntries(Object.keys(PARTS).map((part) => [part, el("section", { class: "card", id: part })]));
  const head = el("div");
  const chart = chartOf(name, places.chart);
  const loads = {
    about: async () => {
      const found = await ask("model", about);
      replace(head, heading(found, me));
      replace(places.about, el("h2", {}, "Rules"), rulesTable(found.rules), el("p", { class: "faint small" }, counted(found.counts)));
      return replace(places.versions, el("h2", {}, "Versions"), ...versions(found, me));
    },
    chart: () => chart.load(),
    findings: async () => replace(places.findings, el("h2", {}, "Findings"), findingsTable((await ask("findings", { ...about, limit: 20 })).findings)),
    studies: async () => replace(places.studies, el("h2", {}, "Retraining"), ...studies((await ask("studies", about)).studies)),
    alerts: async () => {
      const [{ alerts }, { mutes }] = await Promise.all([ask("alerts", { ...about, limit: 20 }), ask("model", about)]);
      replace(places.alerts, el("h2", {}, "Alerts"), alertTable(alerts, false, me), ...(mutes.length ? [el("h2", {}, "Muted"), muteTable(mutes, me)] : []));
    },
    letters: async () => replace(places.letters, el("h2", {}, "Dead letters"), letterTable((await ask("dead-letters", { ...about, limit: 20 })).dead_letters, me, false)),
    actions: async () => replace(places.actions, el("h2", {}, "Actions"), actionTable((await ask("actions", { ...about, limit: 20 })).actions, false)),
  };
  place.replaceChildren(
    head, places.chart, el("div", { class: "columns" }, places.about, places.findings), places.studies, places.versions,
    places.alerts, places.actions, places.letters,
  );
  replace(head, el("div", { class: "head" }, el("h1", {}, name)));
  const waiting = new Set();
  let due = null;
  const load = (part) =>
    loads[part]?.().catch((problem) => {
      if (part === "about") replace(head, el("div", { class: "head" }, el("h1", {}, name)), el("p", { class: "card empty" }, problem.message));
    });
  Object.keys(loads).forEach(load);
  return {
    repaint: chart.repaint,
    update: (news) => {
      if (!news.everything && !news.models.includes(name)) return;
      for (const [part, topics] of Object.entries(PARTS)) {
        if (news.everything || topics.some((topic) => news.topics.includes(topic))) waiting.add(part === "versions" ? "about" : part);
      }
      due ??= setTimeout(() => {
        due = null;
        waiting.forEach(load);
        waiting.clear();
      }, 1000);
    },
    close: () => {
      clearTimeout(due);
      chart.close();
    },
  };
}

function chartOf(name, place) {
  const canvas = el("div", { class: "chart", role: "img", "aria-label": "Chart, not drawn yet" });
  const choice = el("select", { id: "metric", onchange: () => load() });
  const note = el("p", { class: "faint small" }, "reading the newest values …");
  const values = el("details", {}, el("summary", { class: "small" }, "The newest values as a table"));
  const numbers = el("div");
  values.append(numbers);
  place.append(el("div", { class: "row" }, el("h2", {}, el("label", { for: "metric" }, "Metric")), choice), note, canvas, values);
  let latest = null;
  async function load() {
    try {
      const wanted = { model_name: name, metric: choice.value, limit: 1000 };
      const [found, { findings }] = await Promise.all([ask("points", wanted), ask("findings", { model_name: name, limit: 50 })]);
      latest = [found, findings];
      const options = [...new Set([...found.metrics, ...(found.metric ? [found.metric] : [])])];
      if (options.join() !== [...choice.options].map((each) => each.value).join()) choice.replaceChildren(...options.map((each) => el("option", {}, each)));
      choice.value = found.metric ?? "";
      const gaps = found.complete ? "" : "; more come than are shown";
      note.textContent = found.points.length
        ? `The newest ${found.points.length} values, each with the window of ${found.size} that ends with it${gaps}.`
        : "No values of it are among the newest records of the metrics topic.";
      replace(numbers, valuesTable(found));
      await repaint();
    } catch (problem) {
      note.textContent = problem.message;
    }
  }
  async function repaint() {
    if (!latest?.[0].points.length) return;
    const [found, findings] = latest;
    const first = found.points[0].timestamp;
    await draw(canvas, found, findings.filter((each) => each.metric === found.metric && each.timestamp >= first));
  }
  const again = setInterval(load, 20000); // asking keeps the model's values coming
  return { load, repaint: () => repaint().catch(() => {}), close: () => clearInterval(again) };
}

function heading({ model, firing, aliases, versions: made, drift, mutes }, me) {
  const champion = aliases.find((alias) => alias.alias === "champion");
  const about = { model_name: model.model_name };
  const button = (label, options, more = {}) => el("button", { type: "button", "data-key": label, class: options.danger ? "danger" : null, ...more, onclick: () => confirmAndAct({ wish: about, ...options }) }, label);
  const paused = firing.some((alert) => alert.kind === "retrain_paused");
  const buttons =
    me.role !== "operate"
      ? [el("span", { class: "faint small" }, "Sign in with a token of the role operate to act.")]
      : [
          button("Retrain", { title: "Retrain the model", text: "A new version is asked for now; cooldown and pauses do not hold it back.", confirm: "Retrain", action: "retrain", wish: { ...about, model_version: model.model_version } }),
          paused
            ? button("Resume", { title: "Resume retraining", text: "Findings lead to retrain requests again.", confirm: "Resume", action: "resume" })
            : button("Pause", { title: "Pause retraining", text: "No retrain requests are made for it until you resume; it is watched as before.", confirm: "Pause", action: "pause" }),
          button("Roll back", { title: "Roll back", text: `The version before ${champion?.version ?? "the present one"} goes into service.`, confirm: "Roll back", action: "rollback" }, { disabled: !champion?.previous.length }),
          el("button", { type: "button", "data-key": "Mute", onclick: () => mute(me, about) }, "Mute all"),
          button("Retire", { title: "Retire the model", text: "It goes out of service, its alerts end, and the stages forget it. Stop its fleets first.", confirm: "Retire", action: "retire", danger: true }),
        ];
  const facts = [champion ? `champion ${champion.version}` : made.length ? "no champion" : "not in the registry", model.model_version ? `serving ${model.model_version}` : null];
  return el(
    "div",
    { class: "head" },
    el("h1", {}, model.model_name),
    chip(model.state),
    paused ? el("span", { class: "chip" }, "paused") : null,
    drift ? handled(drift) : mutes.length ? el("span", { class: "chip muted" }, "muted") : null,
    drift && me.role === "operate" ? handlingButtons(model.model_name, "drift", drift, me) : null,
    el("span", { class: "faint" }, facts.filter(Boolean).join(" · "), " · since ", ago(model.changed)),
    el("div", { class: "row actions" }, buttons),
  );
}

function rulesTable(rules) {
  const columns = [{ name: "Metric" }, { name: "State" }, { name: "Mean", class: "number" }, { name: "s.d.", class: "number" }, { name: "Window", class: "number" }, { name: "Rule" }];
  const rows = rules.map(({ metric, state, window, rule }) => [metric, chip(state), short(window?.mean), short(window?.std), window ? `${window.count} of ${window.size}` : "—", rule]);
  return table("Rules", columns, rows, "The monitor has said nothing of it.");
}

const counted = (counts) => Object.entries(counts).map(([type, count]) => `${type.replaceAll("_", " ")} ${count.toLocaleString("en")}`).join(" · ");

function findingsTable(findings) {
  const columns = [{ name: "When", plain: true }, { name: "What" }, { name: "Metric" }, { name: "Value", class: "number" }, { name: "Statistic", class: "number" }, { name: "Window mean", class: "number" }];
  const rows = findings.map((each) => [
    ago(each.timestamp), chip(each.severity ?? "warning"), each.metric ?? "external", short(each.value ?? each.p_value),
    each.statistic === undefined ? "—" : `${short(each.statistic)} / ${short(each.threshold)}`, short(each.window?.mean),
  ]);
  return table("Findings", columns, rows, "Nothing has been found.");
}

function studies(found) {
  if (!found.length) return [el("p", { class: "empty" }, "No retraining has been asked for.")];
  return found.slice(0, 5).map((study, index) => {
    const state = study.running ? "running" : study.finished?.state ?? "no end known";
    const scores = study.trials.map((trial) => trial.score).filter((score) => score !== null);
    const [low, high] = [Math.min(0, ...scores), Math.max(...scores)];
    const columns = [{ name: "Trial" }, { name: "State" }, { name: "Score", class: "number" }, { name: "" }, { name: "Parameters", class: "wide" }, { name: "Seconds", class: "number" }];
    const rows = study.trials.map((trial) => [
      `${trial.number}${trial.trial_id === study.finished?.best_trial_id ? " ★" : ""}`, chip(trial.state), short(trial.score), bar(trial.score, low, high),
      trial.error ?? Object.entries(trial.params).map(([name, value]) => `${name} ${short(value)}`).join(", "), short(trial.duration_seconds),
    ]);
    const reason = study.request?.reason ?? "its request is no longer kept";
    const title = el("summary", {}, chip(state), ` ${study.trials.length} trials · `, study.request ? ago(study.request.timestamp) : "", ` · ${reason}`);
    return el("details", { "data-key": study.study_id, open: index === 0 }, title, study.finished?.reason ? el("p", { class: "small" }, study.finished.reason) : null, table("Trials", columns, rows, "No trial has ended yet."));
  });
}

function bar(score, low, high) {
  if (score === null) return "";
  const made = el("span", { class: "bar" });
  made.style.width = `${high > low ? Math.round((100 * (score - low)) / (high - low)) : 100}px`;
  return made;
}

function versions({ model, aliases, versions: made }, me) {
  const place = el("div", { class: "tree" });
  const show = async (version) => replace(place, el("h2", {}, `Lineage of ${version}`), lineageTree(await ask("lineage", { model_name: model.model_name, version })));
  const columns = [{ name: "Version" }, { name: "Alias" }, { name: "Registered" }, { name: "Metrics" }, { name: "Promotion", class: "wide" }, { name: "" }];
  const rows = [...made].reverse().slice(0, 20).map((each) => {
    const named = aliases.filter((alias) => alias.version === each.version).map((alias) => alias.alias);
    const metrics = Object.entries(each.metrics).map(([name, value]) => `${name} ${short(value)}`).join(", ");
    const promote = {
      title: `Promote ${each.version}`, text: "It goes into service, whatever its comparison with the champion said.", confirm: "Promote", action: "promote",
      wish: { model_name: model.model_name, version: each.version },
    };
    const may = me.role === "operate" && !named.includes("champion");
    return [
      each.version, named.join(", ") || "—", ago(each.timestamp), metrics || "—", each.promotion?.reason ?? "—",
      el("span", { class: "row" }, el("button", { type: "button", class: "small", "data-key": `lineage-${each.version}`, onclick: () => show(each.version) }, "Lineage"),
        may ? el("button", { type: "button", class: "small", "data-key": `promote-${each.version}`, onclick: () => confirmAndAct(promote) }, "Promote") : null),
    ];
  });
  return [table("Versions", columns, rows, "No version is registered."), place];
}
