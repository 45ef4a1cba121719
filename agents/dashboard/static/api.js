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
  return answered(await fetch(`${BASE}${path}?${question}`, { headers: headers(), signal }));
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
 * whether the stream is there. When it comes back, everything may have changed. (EventSource cannot send a token.)
 */
export async function follow(changed, connected) {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 10000)) {
    try {
      const response = await fetch(`${BASE}changes`, { headers: headers() });
      if (response.ok) {
        connected(true);
        changed({ models: [], topics: [], everything: true });
        wait = 500;
        await read(response.body, changed);
      }
    } catch {
      // nobody answers: try again
    }
    connected(false);
    await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
  }
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
