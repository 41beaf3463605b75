// A session's clock, and the page around an embedded one: who frames it hears what has happened, and nobody else.
import { call, element, fill, island, make } from "./page.js";

const session = island("session");
const words = session.words;
const WARN_S = 300;

function tell(event) {
  if (!session.embedded || window.parent === window) return;
  // One of them is the frame's owner; a browser hands the message to no other.
  for (const origin of session.origins) window.parent.postMessage({ source: "countersign", event }, origin);
}

tell(session.event || "ready");

let endsAt = session.ends_at ? Date.parse(session.ends_at) : null;
const lastAt = session.last_at ? Date.parse(session.last_at) : null;
let dialog = null;
let extendedAt = Date.now();

function show(title, text, label, act) {
  if (dialog) dialog.remove();
  dialog = make("dialog", { class: "warning", "aria-labelledby": "warning-title" });
  const button = make("button", { type: "button", class: "button button--main" }, label);
  button.addEventListener("click", () => {
    dialog.close();
    dialog.remove();
    dialog = null;
    act();
  });
  dialog.append(
    make("h2", { id: "warning-title" }, title),
    make("p", {}, text),
    make("div", { class: "actions" }, button),
  );
  document.body.append(dialog);
  dialog.showModal();
}

export async function extend() {
  extendedAt = Date.now();
  try {
    const answer = await call(session, "POST", "/extend");
    if (answer && answer.ends_at) endsAt = Date.parse(answer.ends_at);
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403 || problem.status === 404) over();
  }
}

function over() {
  endsAt = null;
  show(words.ending_title, words.over, words.fine, () => location.reload());
}

let warnedLast = false;

function look() {
  if (!endsAt) return;
  const now = Date.now();
  const left = (endsAt - now) / 1000;
  if (left <= 0) {
    over();
    return;
  }
  if (dialog || left > WARN_S) return;
  const minutes = Math.max(1, Math.round(left / 60));
  if (lastAt && endsAt >= lastAt - 1000) {
    if (warnedLast) return;
    warnedLast = true;
    show(words.ending_title, fill(words.ending_last, { minutes }), words.fine, () => {});
  } else {
    show(words.ending_title, fill(words.ending, { minutes }), words.stay, extend);
  }
}

if (endsAt) {
  setInterval(look, 5000);
  look();
  document.addEventListener("visibilitychange", () => document.hidden || look());
  // Whoever is typing is there: the session follows, at most once in five minutes.
  for (const kind of ["keydown", "pointerdown"]) {
    document.addEventListener(kind, () => {
      if (!dialog && Date.now() - extendedAt > 300_000) extend();
    });
  }
}

const resend = element("resend");
if (resend && Number(resend.dataset.after) > 0) {
  const until = Date.now() + Number(resend.dataset.after) * 1000;
  const label = resend.textContent;
  resend.disabled = true;
  const timer = setInterval(() => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    resend.disabled = seconds > 0;
    resend.textContent = seconds > 0 ? fill(resend.dataset.words, { seconds }) : label;
    if (seconds <= 0) clearInterval(timer);
  }, 250);
}

// A refusal is what the reader came back for: it is where the focus begins.
const problem = element("problem");
if (problem) {
  problem.tabIndex = -1;
  problem.focus();
}
