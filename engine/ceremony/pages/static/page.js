// What every script of a page needs: its JSON, its words, and requests that carry the session's token.

export function island(id) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : null;
}

export const element = (id) => document.getElementById(id);

export function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (_, name) => (name in values ? String(values[name]) : ""));
}

export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// What the server answered instead of doing it; `status` 0 when it could not be reached.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || "");
    this.status = status;
    this.code = problem.code || "";
    this.values = problem.values || {};
  }
}

// Why it was refused, in the reader's words; `words.refusals` has a sentence for each code that a reader can mend.
export function reasonOf(problem, words) {
  const sentence = words.refusals?.[problem.code];
  return sentence ? fill(sentence, problem.values) : words.error;
}

export async function call(session, method, path, { json, body, headers = {} } = {}) {
  const sent = { "X-CSRF-Token": session.csrf, Accept: "application/json", ...headers };
  if (json !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(session.base + path, {
      method,
      headers: sent,
      body: json === undefined ? body : JSON.stringify(json),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch {
    throw new Refused(0, {});
  }
  const isJson = (answer.headers.get("content-type") || "").includes("json");
  const content = isJson ? await answer.json() : null;
  if (!answer.ok) throw new Refused(answer.status, content || {});
  return content;
}

// One message to a screen reader; the same text twice is said twice.
export function announce(text) {
  const place = element("announce");
  if (!place) return;
  place.textContent = "";
  setTimeout(() => {
    place.textContent = text;
  }, 60);
}
