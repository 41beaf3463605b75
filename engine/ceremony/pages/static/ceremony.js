// The document with the reader's fields: shows them, leads from one to the next, and keeps what is filled in.
import { Adopting } from "./adopt.js";
import { SIGNED, TICKED, isTyped, tickControl, typedControl } from "./controls.js";
import { announce, call, element, fill, island, make, reasonOf } from "./page.js";
import { Saving } from "./saving.js";
import { Viewer } from "./viewer.js";

const session = island("session");
const page = island("page");
const { words } = page;
const fields = page.fields.map((field) => ({ ...field, typed: field.value }));
const byId = new Map(fields.map((field) => [field.id, field]));
const own = fields.filter((field) => !field.read_only);
const adopted = { signature: page.signature, initials: page.initials };
const adopting = new Adopting(session, { ...page.pdf, name: page.name }, words);
const viewer = new Viewer(page.pdf, element("documents"), words);
const narrow = window.matchMedia("(max-width: 47.5rem), (pointer: coarse)");
const holders = new Map();
let current = null;
let begun = false;

const saving = new Saving(session, {
  version: (id) => byId.get(id).version,
  onState: showState,
  onField: (stored, isLatest) => take(stored, isLatest),
  onRefused: (id, problem) => {
    const field = byId.get(id);
    field.refusal = reasonOf(problem, words);
    field.is_done = false;
    showProgress();
    choose(field);
  },
});

// State

function showState(state) {
  const place = element("save-state");
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = words[state] ?? "";
  if (state === "changed" || state === "over") {
    const again = make("button", { type: "button", class: "button button--text" }, words.reload);
    again.addEventListener("click", () => location.reload());
    place.append(again);
  }
}

// The stored field takes the place of ours; what is being typed just now stays as it is.
function take(stored, isLatest = true) {
  const field = byId.get(stored.id);
  const typed = isLatest ? stored.value : field.typed;
  Object.assign(field, stored, { typed, refusal: "" });
  if (isLatest && field.type === "radio" && field.value === "true") {
    for (const other of fields)
      if (other !== field && other.type === "radio" && other.group === field.group)
        Object.assign(other, { value: "", typed: "", is_done: false });
  }
  mark(field);
  showProgress();
}

function put(field, value, now) {
  if (field.typed === value && field.value === value) return;
  field.typed = value;
  field.refusal = "";
  field.is_done = value !== "";
  if (field.type === "radio" && value) {
    for (const other of fields)
      if (other !== field && other.type === "radio" && other.group === field.group) {
        Object.assign(other, { typed: "", value: "", is_done: false });
        mark(other);
      }
  }
  mark(field);
  markBar();
  showProgress();
  if (current === field) showError(field);
  saving.put(field.id, value, { now });
}

// A group of options is one question: one of them answers it.
function isAnswered(field) {
  if (field.type !== "radio") return field.is_done;
  return groupOf(field).some((one) => one.typed === "true");
}

function groupOf(field) {
  return own.filter((one) => one.type === "radio" && one.group === field.group);
}

const isOpen = (field) => field.required && !isAnswered(field);

function openFields() {
  const groups = new Set();
  return own.filter((field) => {
    if (!isOpen(field)) return false;
    if (field.type !== "radio") return true;
    const isFirst = !groups.has(field.group);
    groups.add(field.group);
    return isFirst;
  });
}

// Fields on the page

function layFields() {
  for (const field of fields) {
    const shown = viewer.page(field.document, field.page);
    if (!shown) continue;
    const holder = make("div", { class: "field", id: `field-${field.id}` });
    const { style } = holder;
    style.left = `${field.x * 100}%`;
    style.top = `${field.y * 100}%`;
    style.width = `${field.width * 100}%`;
    style.height = `${field.height * 100}%`;
    if (TICKED.has(field.type)) holder.dataset.kind = "tick";
    if (field.required && !field.read_only) holder.dataset.required = "";
    holders.set(field.id, { holder, shown });
    shown.fields.append(holder);
    dress(field);
  }
}

// A place is dressed again when the room changes or a picture comes: as an input where there is room, else as a
// button that leads to the bar below.
function dress(field) {
  const { holder } = holders.get(field.id);
  const hadFocus = holder.contains(document.activeElement);
  holder.replaceChildren();
  let control;
  if (field.read_only) {
    holder.append(make("span", { class: "field__fixed", dir: "auto" }, field.value), make("span", { class: "aside" }, field.name));
    return;
  }
  if (TICKED.has(field.type)) {
    control = tickControl(field, (value, now) => put(field, value, now), "page");
  } else if (isTyped(field) && !narrow.matches) {
    control = typedControl(field, words, (value, now) => put(field, value, now));
  } else {
    control = make("button", { type: "button" });
    control.addEventListener("click", () => press(field));
  }
  control.addEventListener("focus", () => choose(field, { stay: true }));
  field.control = control;
  // A box stays as small as it is on paper, and may be hit around it.
  holder.append(TICKED.has(field.type) ? make("label", { class: "tick" }, control) : control);
  mark(field);
  if (hadFocus) control.focus({ preventScroll: true });
}

function mark(field) {
  const place = holders.get(field.id);
  if (!place || field.read_only) return;
  const { holder } = place;
  holder.toggleAttribute("data-done", isAnswered(field));
  const { control } = field;
  if (control.tagName === "BUTTON") {
    const shown = field.typed || field.attachment_name;
    const label = SIGNED.has(field.type)
      ? field.type === "signature"
        ? words.sign_here
        : words.initial_here
      : shown || field.label || field.name.split(",")[0];
    const picture = field.picture_url ? [make("img", { src: field.picture_url, alt: "" })] : [];
    control.replaceChildren(...(picture.length ? picture : [label]));
    const name = picture.length || shown ? field.name : `${label}: ${field.name}`;
    control.setAttribute("aria-label", field.is_done ? `${field.name}, ${words.done}: ${shown || ""}` : name);
  } else if (TICKED.has(field.type)) {
    control.checked = field.typed === "true";
  } else if (document.activeElement !== control) {
    control.value = field.typed;
  }
}

// The bar's boxes say what the page's say.
function markBar() {
  for (const input of element("step-control").querySelectorAll("[data-field]"))
    input.checked = byId.get(input.dataset.field).typed === "true";
}

function press(field) {
  choose(field);
  if (SIGNED.has(field.type)) sign(field, { anew: field.is_done });
  else element("step-control").querySelector("input, select, button")?.focus();
}

viewer.onScale = (scale) => {
  for (const { number, document: of, element: holder } of viewer.pages) {
    for (const field of fields.filter((one) => one.page === number && one.document === of)) {
      const place = holders.get(field.id);
      const height = field.height * holder.clientHeight;
      place?.holder.style.setProperty("--tick", `${Math.max(13, Math.min(height, 26))}px`);
      place?.holder.style.setProperty("--field-size", `${Math.max(8, Math.min(height * 0.62, 11 * scale))}px`);
    }
  }
  element("zoom-level").textContent = fill(words.zoom, { percent: viewer.percent() });
};

// Signing

async function sign(field, { anew = false } = {}) {
  const purpose = field.type;
  let signature = anew ? null : adopted[purpose];
  if (!signature) signature = await adopting.open(purpose);
  if (!signature) {
    focusStep();
    return;
  }
  adopted[purpose] = signature;
  try {
    const stored = await saving.after(() =>
      call(session, "PUT", `/fields/${field.id}/signature`, {
        json: { signature_id: signature.id },
        headers: { "If-Match": `"${field.version}"` },
      }),
    );
    take(stored);
    announce(`${field.name}, ${words.done}`);
    showStep();
    goOn(field);
  } catch (problem) {
    field.refusal = reasonOf(problem, words);
    showError(field);
  }
}

async function attach(field, file) {
  try {
    const stored = await saving.after(() =>
      call(session, "POST", `/fields/${field.id}/attachment`, {
        body: file,
        headers: {
          "If-Match": `"${field.version}"`,
          "Content-Type": file.type || "application/octet-stream",
          "X-Document-Name": encodeURIComponent(file.name),
        },
      }),
    );
    take(stored);
    announce(fill(words.attached, { name: file.name }));
    showStep();
  } catch (problem) {
    field.refusal = problem.status === 413 ? words.too_large : reasonOf(problem, words);
    showError(field);
  }
}

// Stepper

function choose(field, { stay = false } = {}) {
  begun = true;
  if (current !== field) {
    if (current) holders.get(current.id)?.holder.removeAttribute("data-now");
    current = field;
    holders.get(field.id)?.holder.setAttribute("data-now", "");
    showStep();
  }
  showError(field);
  if (!stay) holders.get(field.id)?.holder.scrollIntoView({ block: "center", inline: "nearest" });
}

function showProgress() {
  const left = openFields().length;
  const required = own.filter((field) => field.required).length;
  const share = required ? (required - own.filter(isOpen).length) / required : 1;
  element("progress").style.width = `${Math.round(share * 100)}%`;
  const isFinished = left === 0;
  for (const id of ["finish", "finish-top"]) element(id).hidden = id === "finish" ? !isFinished : false;
  element("step-next").hidden = isFinished;
  element("step-next").textContent = begun ? words.next : words.begin;
  if (!current) {
    element("step-count").textContent = own.length
      ? isFinished
        ? ""
        : left === 1
          ? words.required_left_one
          : fill(words.required_left, { count: left })
      : "";
    element("step-name").textContent = isFinished ? (own.length ? words.all_done : words.nothing_to_fill) : "";
  } else {
    showCount();
  }
  element("step-back").hidden = own.length < 2 || !begun;
}

function showCount() {
  const place = fill(words.field_of, { number: own.indexOf(current) + 1, of: own.length });
  const need = current.required ? words.required : words.optional;
  element("step-count").textContent = openFields().length ? `${place} · ${need}` : `${place} · ${words.all_done}`;
}

function showStep() {
  const place = element("step-control");
  place.replaceChildren();
  if (!current) return;
  element("step-name").textContent = current.label || current.name.split(",")[0];
  showCount();
  element("step-next").textContent = words.next;
  element("step-back").hidden = own.length < 2;
  calm(element("step-next"), (SIGNED.has(current.type) || current.type === "attachment") && !current.is_done);
  if (SIGNED.has(current.type)) {
    const signs = current.type === "signature" ? words.sign_here : words.initial_here;
    const label = current.is_done ? words.change : signs;
    const button = make("button", { type: "button", class: current.is_done ? "button button--quiet" : "button button--main" }, label);
    const field = current;
    button.addEventListener("click", () => sign(field, { anew: field.is_done }));
    place.append(button);
  } else if (current.type === "attachment") {
    const field = current;
    // A browser's own control would go on saying that no file is chosen, in the browser's language.
    const input = make("input", { type: "file", class: "aside", "aria-label": field.name });
    input.addEventListener("change", () => input.files[0] && attach(field, input.files[0]));
    const look = field.attachment_name ? "button button--quiet" : "button button--main";
    if (field.attachment_name) place.append(make("span", { class: "attached", dir: "auto" }, field.attachment_name));
    place.append(make("label", { class: `${look} choose` }, field.attachment_name ? words.change : words.choose_file, input));
  } else if (TICKED.has(current.type)) {
    // A group of options is shown whole: they are one question.
    for (const field of current.type === "radio" ? groupOf(current) : [current]) {
      const input = tickControl(field, (value, now) => put(field, value, now), "bar");
      input.dataset.field = field.id;
      place.append(make("label", { class: "choice" }, input, make("span", { dir: "auto" }, field.label || field.name.split(",")[0])));
    }
  } else if (narrow.matches) {
    const field = current;
    const input = typedControl(field, words, (value, now) => {
      put(field, value, now);
    });
    input.value = field.typed;
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") next();
    });
    place.append(input);
  }
}

// One button is the next thing to do; the other steps back.
function calm(button, isCalm) {
  button.classList.toggle("button--main", !isCalm);
  button.classList.toggle("button--quiet", isCalm);
}

function showError(field) {
  if (field !== current) return;
  element("step-error").textContent = field.refusal || "";
  const control = element("step-control").querySelector("input, select") ?? field.control;
  if (field.refusal) control?.setAttribute("aria-invalid", "true");
  else control?.removeAttribute("aria-invalid");
}

// Where the reader acts for the current field: in the bar, else on the page.
function focusStep() {
  const inBar = element("step-control").querySelector("input, select, button");
  const onPage = current?.control;
  const wanted = inBar && (narrow.matches || !onPage || SIGNED.has(current.type) || current.type === "attachment") ? inBar : onPage;
  (wanted ?? element("step-next")).focus({ preventScroll: true });
}

function goTo(field) {
  choose(field);
  focusStep();
  announce(`${fill(words.field_of, { number: own.indexOf(field) + 1, of: own.length })}: ${field.name}`);
}

// The next open field after the current one, from the top again at the end; else the next field at all.
function next() {
  const open = openFields();
  const at = current ? own.indexOf(current) : -1;
  const following = open.find((field) => own.indexOf(field) > at) ?? open[0];
  if (following === current && current) {
    current.refusal ||= words.fill_first;
    showError(current);
    focusStep();
  } else if (following) {
    goTo(following);
  } else {
    element("finish").focus();
  }
}

function goOn(field) {
  const open = openFields();
  if (!open.length) {
    element("finish").focus();
    announce(words.all_done);
  } else {
    goTo(open.find((one) => one.number > field.number) ?? open[0]);
  }
}

element("step-next").addEventListener("click", next);
element("step-back").addEventListener("click", () => {
  const at = current ? own.indexOf(current) : own.length;
  goTo(own[(at - 1 + own.length) % own.length]);
});
for (const id of ["finish", "finish-top"]) {
  element(id).addEventListener("click", async (event) => {
    event.preventDefault();
    // What is not stored yet is stored first: the review shows what the server has.
    if (await saving.flush()) location.assign(element(id).href);
  });
}

// Pages

async function layThumbs() {
  const list = make("ol");
  for (const shown of viewer.pages) {
    const canvas = make("canvas", { "aria-hidden": "true" });
    const hasFields = own.some((field) => field.document === shown.document && field.page === shown.number);
    const link = make("a", { href: `#${shown.element.id}` }, canvas, make("span", { class: hasFields ? "has-fields" : "" }, String(shown.number)));
    link.setAttribute("aria-label", shown.label);
    link.addEventListener("click", () => {
      element("thumbs").classList.remove("is-open");
      element("show-thumbs").setAttribute("aria-expanded", "false");
      shown.element.focus({ preventScroll: true });
    });
    shown.thumb = { link, canvas };
    canvas.width = 120;
    canvas.height = Math.round((120 * shown.height) / shown.width);
    list.append(make("li", {}, link));
  }
  element("thumbs").append(list);
  const sight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      const shown = viewer.pages.find((one) => one.thumb.canvas === entry.target);
      if (!shown.pdf || shown.thumb.isDrawn) continue;
      shown.thumb.isDrawn = true;
      viewer.drawSmall(shown, shown.thumb.canvas, 120).catch(() => {});
    }
  });
  for (const shown of viewer.pages) sight.observe(shown.thumb.canvas);
}

viewer.onPage = (shown) => {
  for (const one of viewer.pages) {
    if (one === shown) one.thumb?.link.setAttribute("aria-current", "true");
    else one.thumb?.link.removeAttribute("aria-current");
  }
};

element("zoom-in").addEventListener("click", () => viewer.zoomBy(1));
element("zoom-out").addEventListener("click", () => viewer.zoomBy(-1));
element("zoom-fit").addEventListener("click", () => viewer.setZoom(null));
element("show-thumbs").addEventListener("click", () => {
  const isOpen = element("thumbs").classList.toggle("is-open");
  element("show-thumbs").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) element("thumbs").querySelector("a")?.focus();
});

element("print").addEventListener("click", async () => {
  element("menu").open = false;
  if (viewer.pages.length > 60) {
    announce(words.print_many);
    return;
  }
  await viewer.drawAll();
  window.print();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (element("menu").open) {
    element("menu").open = false;
    element("menu").querySelector("summary").focus();
  }
  element("thumbs").classList.remove("is-open");
});
document.addEventListener("click", (event) => {
  if (!element("menu").contains(event.target)) element("menu").open = false;
});

const showOffline = () => {
  element("offline").hidden = navigator.onLine;
};
window.addEventListener("online", showOffline);
window.addEventListener("offline", showOffline);
showOffline();

narrow.addEventListener("change", () => {
  for (const field of fields) dress(field);
  showStep();
});

// What sticks to the lower edge grows with its words: nothing may lie under it.
new ResizeObserver(([{ target }]) => {
  document.body.style.setProperty("--stepper", `${target.offsetHeight}px`);
}).observe(element("stepper"));

const opening = viewer.open(page.documents);
layFields();
viewer.onScale(viewer.scale);
showProgress();
const opened = opening.then(layThumbs);
const wanted = location.hash.startsWith("#field-") ? byId.get(location.hash.slice(7)) : null;
if (wanted) goTo(wanted);
await opened;
