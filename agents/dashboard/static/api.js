// Talks to the API: questions, actions, and the stream of changes.

const BASE = "api/v1/";
let token = sessionStorage.getItem("token");

/** What the API refused, with its status. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Use this token from now on, in this tab alone; null forgets it. */
export function signIn(value) {
  token = value;
  if (value) sessionStorage.setItem("token", value);
  else sessionStorage.removeItem("token");
}

export const signedIn = () => Boolean(token);

const headers = () => (token ? { authorization: `Bearer ${token}` } : {});

/** Ask: `ask("models", {search: "fraud"})`. Raises `Refused`, or TypeError where nobody answers. */
export async function ask(path, query = {}, signal = undefined) {
  const question = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") question.append(name, each);
    }
  }
  const address = `${BASE}${path}?${question}`;
  const known = answers.get(address);
  const response = await fetch(address, { headers: { ...headers(), ...(known ? { "if-none-match": known.tag } : {}) }, signal });
  if (response.status === 304) return structuredClone(known.document);
  const document = await answered(response);
  remember(address, response.headers.get("etag"), document);
  return document;
}

const MOST_ANSWERS = 50;
const answers = new Map(); // what was answered last, by address: most of it has not changed when it is asked for again

function remember(address, tag, document) {
  answers.delete(address);
  if (!tag) return;
  answers.set(address, { tag, document: structuredClone(document) });
  if (answers.size > MOST_ANSWERS) answers.delete(answers.keys().next().value);
}

/** Act: `act("promote", {model_name: "fraud", version: "7"})`. */
export async function act(action, wish) {
  const body = JSON.stringify(wish);
  return answered(
    await fetch(`${BASE}actions/${action}`, { method: "POST", headers: { ...headers(), "content-type": "application/json" }, body }),
  );
}

async function answered(response) {
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, document.error ?? `the server said ${response.status}`);
  return document;
}

/**
 * Follow the changes for as long as the page lives. `changed` gets {models, topics, everything}; `connected` is told
 * whether the stream is there, `unknown` that the token is not known. When the stream comes back, everything may have
 * changed. (The browser's own EventSource cannot send a token.)
 *
 * A browser has six connections to a server, for all its tabs: a tab that nobody sees lets go of its own.
 */
export async function follow(changed, connected, unknown) {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 4000)) {
    await seen();
    const leaving = new AbortController();
    const leave = () => document.hidden && leaving.abort();
    const go = () => leaving.abort();
    document.addEventListener("visibilitychange", leave);
    addEventListener("pagehide", go);
    try {
      const response = await fetch(`${BASE}changes`, { headers: headers(), signal: leaving.signal });
      if (response.ok) {
        connected(true);
        changed({ models: [], topics: [], everything: true });
        wait = 500;
        await read(response.body, changed);
      } else if (response.status === 401) await unknown();
    } catch {
      // nobody answers, or nobody looks: try again
    } finally {
      document.removeEventListener("visibilitychange", leave);
      removeEventListener("pagehide", go);
    }
    if (document.hidden) continue;
    connected(false);
    await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
  }
}

/** Wait until somebody looks at the page. */
function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

async function read(body, changed) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) changed(JSON.parse(data.slice(6)));
    }
  }
}
