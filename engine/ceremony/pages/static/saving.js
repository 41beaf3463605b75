// Keeps the fields' values on the server while the reader goes on: one request at a time, each with the version
// that was read, and again and again while the server cannot be reached.
import { call } from "./page.js";

const PAUSE_MS = 700;
const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];

export class Saving {
  // `onState` hears "saving", "saved", "waiting", "changed", "over"; `onField` the field as it is stored now;
  // `onRefused` a field's id and why its value was not taken.
  constructor(session, { version, onState, onField, onRefused }) {
    this.session = session;
    this.version = version;
    this.onState = onState;
    this.onField = onField;
    this.onRefused = onRefused;
    this.waiting = new Map();
    this.tries = 0;
    this.pause = 0;
    window.addEventListener("online", () => this.#start(0));
    window.addEventListener("beforeunload", (event) => {
      if (this.waiting.size || this.running) event.preventDefault();
    });
  }

  put(id, value, { now = false } = {}) {
    this.waiting.set(id, value);
    this.#start(now ? 0 : PAUSE_MS);
  }

  // Resolves when everything is stored; false when something is not.
  async flush() {
    this.#start(0);
    if (this.running) await this.running;
    return this.waiting.size === 0 && !this.stopped;
  }

  // Another change of the same fields (a signature) takes its turn behind the values.
  async after(act) {
    await this.flush();
    this.onState("saving");
    try {
      const done = await act();
      this.onState("saved");
      return done;
    } catch (problem) {
      this.onState(this.#stateOf(problem));
      throw problem;
    }
  }

  #start(pause) {
    clearTimeout(this.timer);
    if (this.stopped || this.running) return;
    if (pause > 0) {
      this.timer = setTimeout(() => this.#begin(), pause);
    } else {
      this.#begin();
    }
  }

  #begin() {
    if (this.stopped || this.running || !this.waiting.size) return;
    this.running = this.#run().finally(() => {
      this.running = null;
      if (this.waiting.size) this.#start(this.pause);
    });
  }

  async #run() {
    while (this.waiting.size) {
      const [id, value] = this.waiting.entries().next().value;
      this.onState("saving");
      try {
        const stored = await call(this.session, "PUT", `/fields/${id}`, {
          json: { value },
          headers: { "If-Match": `"${this.version(id)}"` },
        });
        this.tries = 0;
        this.pause = 0;
        // What was typed meanwhile stays and is sent next, with the new version.
        const isLatest = this.waiting.get(id) === value;
        if (isLatest) this.waiting.delete(id);
        this.onField(stored, isLatest);
      } catch (problem) {
        const state = this.#stateOf(problem);
        if (state === "waiting") {
          this.onState("waiting");
          this.pause = RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)];
          return;
        }
        this.waiting.delete(id);
        if (state === "refused") {
          this.onRefused(id, problem);
        } else {
          this.stopped = true;
          this.onState(state);
          return;
        }
      }
    }
    this.onState("saved");
  }

  #stateOf({ status, code }) {
    if (status === 0 || status === 429 || status >= 500) return "waiting";
    if (status === 401 || status === 403 || code === "session_over") return "over";
    if (status === 409 || status === 412 || status === 404) return "changed";
    return "refused";
  }
}
