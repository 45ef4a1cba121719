// The frame of the page: which part is shown, the theme, who is signed in, and what changes meanwhile.

import { actionsPage, alertsPage, lettersPage } from "./lists.js";
import { ask, follow, signedIn, signIn } from "./api.js";
import { askFor } from "./dialogs.js";
import { modelPage } from "./model.js";
import { modelsPage } from "./models.js";
import { short, tell } from "./elements.js";

const PAGES = { models: modelsPage, model: modelPage, alerts: alertsPage, "dead-letters": lettersPage, actions: actionsPage };
const main = document.getElementById("main");
let shown = null; // the page that is shown: {update(news), close()}
let me = { role: "read", name: "", access: "open" };

// --- theme

const dark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");

function applyTheme() {
  const theme = localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Switch to ${theme === "dark" ? "light" : "dark"} colours`);
  shown?.repaint?.();
}
dark.addEventListener("change", applyTheme);
themeButton.addEventListener("click", () => {
  const wanted = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  if (wanted === (dark.matches ? "dark" : "light")) localStorage.removeItem("theme"); // as the system has it
  else localStorage.setItem("theme", wanted);
  applyTheme();
});

// --- who asks

const meButton = document.getElementById("me");

async function meet() {
  try {
    me = await ask("me");
  } catch (problem) {
    if (problem.status === 401 && signedIn()) signIn(null);
    me = { role: "none", name: "", access: "none" };
    if (problem.status !== 401) throw problem;
  }
  meButton.hidden = false;
  meButton.textContent = me.access === "token" ? `${me.name} · sign out` : me.access === "proxy" ? me.name : "Sign in";
  meButton.disabled = me.access === "proxy";
  return me.role !== "none";
}

async function signInOrOut() {
  if (me.access === "token") signIn(null);
  else {
    const given = await askFor({
      title: "Sign in",
      text: "A token lets you in. It stays in this tab, and is forgotten when you close it.",
      field: { label: "Token", type: "password", required: true },
      confirm: "Sign in",
    });
    if (given === null) return;
    signIn(given.trim());
  }
  location.reload();
}
meButton.addEventListener("click", signInOrOut);

/** A token that came with the address goes to the tab's memory and out of sight. */
function takeToken() {
  const given = /^#token=([\w-]+)$/.exec(location.hash);
  if (!given) return;
  signIn(given[1]);
  history.replaceState(null, "", "#/models");
}

// --- which page

function show() {
  if (me.role === "none") return;
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  if (path === "main") return; // the link to skip to the content
  const name = path in PAGES ? path : "models";
  for (const link of document.querySelectorAll(".top nav a")) {
    const here = link.hash === `#/${name === "model" ? "models" : name}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (shown?.name === name && shown.moved?.(new URLSearchParams(query))) return;
  const former = shown;
  shown?.close?.();
  shown = { name, ...PAGES[name](main, new URLSearchParams(query), me) };
  scrollTo(0, 0);
  if (former) main.focus({ preventScroll: true });
}
addEventListener("hashchange", () => {
  takeToken();
  show();
});

// --- what changes

const trouble = document.getElementById("trouble");

async function health() {
  try {
    const response = await fetch("api/v1/health/ready");
    const { reasons = [] } = await response.json();
    trouble.textContent = reasons.length ? `What you see may be out of date: ${reasons.join("; ")}` : "";
  } catch {
    trouble.textContent = "The dashboard does not answer. It is asked again until it does.";
  }
  trouble.hidden = !trouble.textContent;
}

async function frame() {
  const [flow, firing, letters] = await Promise.all([ask("flow"), ask("alerts", { firing: true, limit: 1 }), ask("dead-letters", { limit: 1 })]);
  const monitor = flow.stages.find((stage) => stage.stage === "monitor");
  const lag = monitor?.lag ?? null;
  const rate = flow.records_per_second === null ? "" : `${short(Math.round(flow.records_per_second))} records/s`;
  document.getElementById("flow").textContent = [rate, lag === null ? "" : `lag ${lag.toLocaleString("en")}`].filter(Boolean).join(" · ");
  for (const [id, total] of [["alert-count", firing.total], ["letter-count", letters.total]]) {
    const count = document.getElementById(id);
    count.textContent = total >= 1000 ? "1000+" : total;
    count.hidden = !total;
  }
}

/** Look again every few seconds while the page is in view, whatever the stream says. */
async function regularly() {
  for (;;) {
    if (!document.hidden) await Promise.all([health(), frame().catch(() => {})]);
    await new Promise((resolve) => setTimeout(resolve, 4000));
  }
}

function connected(is) {
  const live = document.getElementById("live");
  live.className = `live ${is ? "on" : "off"}`;
  live.textContent = is ? "live" : "reconnecting";
  if (!is) health();
}

/** The token is not known (any more): a dashboard without tokens in its settings makes a new one at each start. */
async function unknown() {
  signIn(null);
  if (!(await meet().catch(() => true))) return void askToSignIn();
  tell("Your token is not valid any more. You can read on without it.");
  shown?.close?.();
  shown = null;
  show();
}

function askToSignIn() {
  connected(false);
  document.getElementById("live").textContent = "not signed in";
  signInOrOut();
}

/** Ask who is there until somebody answers. */
async function begin() {
  for (;;) {
    try {
      return await meet();
    } catch {
      await health();
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

applyTheme();
takeToken();
begin().then((known) => {
  if (!known) return askToSignIn();
  show();
  regularly();
  follow((news) => shown?.update?.(news), connected, unknown);
});
