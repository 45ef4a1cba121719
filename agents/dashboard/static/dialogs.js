// Asks people before something is done. The browser's own dialog keeps focus inside and closes on Escape.

import { act, Refused } from "./api.js";
import { el, tell } from "./elements.js";

/** Show a dialog with one field; resolves to what was entered, or null if it was closed. */
export async function askFor({ field, ...rest }) {
  const answers = await askForAll({ fields: [{ ...field, name: "answer" }], ...rest });
  return answers && answers.answer;
}

/** Show a dialog with fields {name, label, value, required, options}; resolves to {name: value}, or null if it was closed. */
export function askForAll({ title, text, fields, confirm, danger = false }) {
  return new Promise((resolve) => {
    const inputs = fields.map(({ name, type, required, value, options }) =>
      options
        ? el("select", { id: `field-${name}` }, options.map(([each, label]) => el("option", { value: each, selected: each === value }, label)))
        : el("input", { id: `field-${name}`, type: type ?? "text", required, value, maxlength: "1000", autocomplete: "off" }),
    );
    const form = el(
      "form",
      { method: "dialog" },
      el("h2", { id: "dialog-title" }, title),
      el("p", { class: "faint" }, text),
      fields.map(({ name, label }, index) => [el("label", { for: `field-${name}` }, label), inputs[index]]).flat(),
      el(
        "div",
        { class: "row" },
        el("button", { type: "button", onclick: () => dialog.close("") }, "Cancel"),
        el("button", { class: danger ? "danger" : "main", value: "yes" }, confirm),
      ),
    );
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? Object.fromEntries(fields.map(({ name }, index) => [name, inputs[index].value])) : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    inputs[0].focus();
  });
}

/** Ask why, act, and tell what came of it. Resolves to whether it was done. */
export async function confirmAndAct({ title, text, confirm, action, wish, danger = false }) {
  const note = await askFor({ title, text, confirm, danger, field: { label: "Why (others will read it)" } });
  return note !== null && done(title, action, { ...wish, note });
}

const DURATIONS = [[30, "30 minutes"], [120, "2 hours"], [480, "8 hours"], [1440, "1 day"], [10080, "1 week"], [43200, "30 days"]];

/** Ask for how long and why, and tell nobody of certain alerts meanwhile. `fixed` says of which; else that is asked, too. */
export async function mute(me, fixed = {}) {
  const about = [{ name: "model_name", label: "Models (a pattern: fraud-*)", required: true }, { name: "kind", label: "Kinds of alerts (a pattern; * for all)", required: true, value: "*" }, { name: "rule", label: "Rules behind findings (a pattern; * for all)", required: true, value: "*" }];
  const answers = await askForAll({
    title: fixed.model_name ? `Mute ${(fixed.kind ?? "all alerts").replaceAll("_", " ")} of ${fixed.model_name}` : "Mute alerts",
    text: "Nobody is told of them meanwhile; they are recorded and shown. What is still open then is told once.",
    confirm: "Mute",
    fields: [
      ...about.filter(({ name }) => !(name in fixed) && !(name !== "model_name" && fixed.model_name)),
      { name: "minutes", label: "For", value: 120, options: DURATIONS },
      { name: "owner", label: "Owner: who answers for it", required: true, value: me.name },
      { name: "note", label: "Why (others will read it)", required: true },
    ],
  });
  return answers !== null && done("Mute", "mute", { ...fixed, ...answers, minutes: Number(answers.minutes) });
}

/** Act, and tell what came of it. Resolves to whether it was done. */
async function done(title, action, wish) {
  try {
    await act(action, wish);
  } catch (problem) {
    tell(problem instanceof Refused ? `Not done: ${problem.message}` : "Not done: the dashboard does not answer");
    return false;
  }
  tell(`Done: ${title}`);
  return true;
}
