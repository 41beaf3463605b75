// The dialog in which a reader makes a signature or initials: typed first, drawn or uploaded as well.
// A drawing is kept as strokes, not as pixels: turning the phone loses nothing.
import { call, element, reasonOf } from "./page.js";

const MOST_BYTES = 2 * 1024 * 1024;
const TABS = ["type", "draw", "upload"];

export class Adopting {
  constructor(session, config, words) {
    this.session = session;
    this.config = config;
    this.words = words;
    this.dialog = element("adopt");
    this.text = element("adopt-text");
    this.canvas = element("pad");
    this.drawings = {};
    this.texts = { signature: config.name, initials: initialsOf(config.name) };
    for (const name of TABS) {
      const tab = element(`tab-${name}`);
      tab.addEventListener("click", () => this.#show(name));
      tab.addEventListener("keydown", (event) => this.#move(event, name));
    }
    this.text.addEventListener("input", () => this.#preview());
    for (const id of ["adopt-close", "adopt-cancel"])
      element(id).addEventListener("click", () => this.dialog.close());
    element("pad-clear").addEventListener("click", () => this.pad?.clear());
    element("pad-undo").addEventListener("click", () => {
      const strokes = this.pad?.toData() ?? [];
      strokes.pop();
      this.pad?.fromData(strokes);
    });
    element("adopt-file").addEventListener("change", () => this.#read());
    element("adopt-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use();
    });
    this.dialog.addEventListener("close", () => this.#end(null));
    new ResizeObserver(() => this.#fit()).observe(this.canvas);
  }

  // Resolves to what the server has stored, or to null when the reader thought better of it.
  open(purpose) {
    this.purpose = purpose;
    element("adopt-title").textContent = this.words[`title_${purpose}`];
    element("adopt-text-label").textContent = this.words[`label_${purpose}`];
    element("adopt-use").textContent = this.words[`use_${purpose}`];
    this.text.value = this.texts[purpose];
    this.text.maxLength = purpose === "initials" ? 20 : 200;
    this.#error("");
    this.pad?.clear();
    this.image = null;
    element("adopt-file").value = "";
    this.#preview();
    this.#show("type");
    this.dialog.showModal();
    this.text.focus();
    this.text.select();
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  #end(adopted) {
    const resolve = this.resolve;
    this.resolve = null;
    resolve?.(adopted);
  }

  #error(text) {
    element("adopt-error").textContent = text;
  }

  #move(event, name) {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -TABS.indexOf(name), End: TABS.length - 1 - TABS.indexOf(name) };
    if (!(event.key in step)) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(name) + step[event.key] + TABS.length) % TABS.length];
    this.#show(next);
    element(`tab-${next}`).focus();
  }

  async #show(name) {
    this.way = name;
    this.#error("");
    for (const one of TABS) {
      const tab = element(`tab-${one}`);
      tab.setAttribute("aria-selected", String(one === name));
      tab.tabIndex = one === name ? 0 : -1;
      element(`panel-${one}`).hidden = one !== name;
    }
    if (name === "draw") {
      if (!this.pad) {
        const { default: SignaturePad } = await import(this.config.pad);
        this.pad = new SignaturePad(this.canvas, { penColor: "#101a3a", minWidth: 0.8, maxWidth: 2.6 });
      }
      this.#fit();
    }
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!this.pad || !width) return;
    const ratio = Math.max(window.devicePixelRatio || 1, 2);
    if (this.canvas.width === Math.round(width * ratio) && this.canvas.height === Math.round(height * ratio)) return;
    const strokes = this.pad.toData();
    const before = this.size;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.getContext("2d").scale(ratio, ratio);
    const factor = before ? Math.min(width / before.width, height / before.height) : 1;
    this.size = { width, height };
    for (const stroke of strokes)
      for (const point of stroke.points) {
        point.x *= factor;
        point.y *= factor;
      }
    this.pad.fromData(strokes);
  }

  #preview() {
    for (const hand of this.dialog.querySelectorAll(".hands .hand")) hand.textContent = this.text.value || " ";
  }

  async #read() {
    this.image = null;
    this.#error("");
    const [file] = element("adopt-file").files;
    if (!file) return;
    if (!["image/png", "image/jpeg"].includes(file.type) || file.size > MOST_BYTES) {
      this.#error(this.words.file_wrong);
      return;
    }
    try {
      const picture = await createImageBitmap(file);
      const canvas = element("preview");
      const factor = Math.min(1, 1200 / picture.width, 600 / picture.height);
      canvas.width = Math.max(1, Math.round(picture.width * factor));
      canvas.height = Math.max(1, Math.round(picture.height * factor));
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      this.image = canvas;
    } catch {
      this.#error(this.words.file_wrong);
    }
  }

  #made() {
    if (this.way === "type") {
      const text = this.text.value.trim();
      if (!text) return this.#refuse(this.words.text_missing, this.text);
      const hand = this.dialog.querySelector("[name=hand]:checked");
      return { type: "typed", text, font: hand?.value ?? "" };
    }
    if (this.way === "draw") {
      if (!this.pad || this.pad.isEmpty()) return this.#refuse(this.words.pad_empty, element("tab-draw"));
      return { type: "draw", image: bytesOf(this.canvas) };
    }
    if (!this.image) return this.#refuse(this.words.file_missing, element("adopt-file"));
    return { type: "upload", image: bytesOf(this.image) };
  }

  #refuse(text, where) {
    this.#error(text);
    where.focus();
    return null;
  }

  async #use() {
    const made = this.#made();
    if (!made) return;
    if (made.text) this.texts[this.purpose] = made.text;
    const button = element("adopt-use");
    button.disabled = true;
    try {
      const adopted = await call(this.session, "POST", "/signatures", { json: { purpose: this.purpose, ...made } });
      const resolve = this.resolve;
      this.resolve = null;
      this.dialog.close();
      resolve?.(adopted);
    } catch (problem) {
      this.#error(reasonOf(problem, this.words));
    } finally {
      button.disabled = false;
    }
  }
}

function bytesOf(canvas) {
  return canvas.toDataURL("image/png").split(",")[1];
}

function initialsOf(name) {
  return name
    .split(/\s+/)
    .filter(Boolean)
    .map((part) => [...part][0])
    .join("")
    .slice(0, 4)
    .toUpperCase();
}
