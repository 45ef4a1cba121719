// Asks people before something is done. The browser's own dialog keeps focus inside and closes on Escape.

import { act, Refused } from "./api.js";
import { el, tell } from "./elements.js";

/** Show a dialog with one field; resolves to what was entered, or null if it was closed. */
export function askFor({ title, text, field, confirm, danger = false }) {
  return new Promise((resolve) => {
    const input = el("input", { id: "answer", type: field.type ?? "text", required: field.required, maxlength: "1000", autocomplete: "off" });
    const form = el(
      "form",
      { method: "dialog" },
      el("h2", { id: "dialog-title" }, title),
      el("p", { class: "faint" }, text),
      el("label", { for: "answer" }, field.label),
      input,
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
      resolve(dialog.returnValue === "yes" ? input.value : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}

/** Ask why, act, and tell what came of it. Resolves to whether it was done. */
export async function confirmAndAct({ title, text, confirm, action, wish, danger = false }) {
  const note = await askFor({ title, text, confirm, danger, field: { label: "Why (others will read it)" } });
  if (note === null) return false;
  try {
    await act(action, { ...wish, note });
  } catch (problem) {
    tell(problem instanceof Refused ? `Not done: ${problem.message}` : "Not done: the dashboard does not answer");
    return false;
  }
  tell(`Done: ${title}`);
  return true;
}
