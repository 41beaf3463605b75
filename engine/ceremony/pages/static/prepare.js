// Placing a draft's fields: dragged or chosen from the palette, moved and sized by pointer or keys, saved at once.
import { announce, call, element, fill, island, make, reasonOf } from "./page.js";
import { Viewer } from "./viewer.js";

const config = island("page");
const { words, types } = config;
const session = { base: config.base, csrf: config.csrf };
const fields = config.fields.map((field) => ({ ...field }));
const people = new Map(config.recipients.map((one) => [one.id, one]));
const kinds = new Map(config.kinds.map((kind) => [kind.type, kind]));
const viewer = new Viewer(config.pdf, element("documents"), words);
const form = element("property-form");
const CHOICES = new Set(["dropdown"]);
let chosen = null;
let queue = Promise.resolve();

// Saving: one change at a time, in the order in which they were made.

function save(act) {
  element("save-state").dataset.state = "saving";
  element("save-state").textContent = words.saving;
  queue = queue.then(act).then(
    () => {
      element("save-state").dataset.state = "saved";
      element("save-state").textContent = words.saved;
    },
    (problem) => {
      element("save-state").dataset.state = "waiting";
      element("save-state").textContent = fill(words.failed, { problem: reasonOf(problem, words) });
    },
  );
  return queue;
}

function sent(field) {
  const { document, recipient_id, type, page, x, y, width, height, required, read_only, label, value, options, group } = field;
  return { document, recipient_id, type, page, x, y, width, height, required, read_only, label, value, options, group };
}

function store(field) {
  clearTimeout(field.timer);
  field.timer = setTimeout(() => {
    save(async () => {
      if (field.gone) return;
      if (field.id) await call(session, "PUT", `/fields/${field.id}`, { json: sent(field) });
      else field.id = (await call(session, "POST", "/fields", { json: sent(field) })).id;
    });
  }, 400);
}

// Fields on the page

function pageOf(field) {
  return viewer.page(field.document, field.page);
}

function lay(field) {
  const button = make("button", { type: "button", "aria-pressed": "false" }, make("span", { dir: "auto" }), make("i"));
  field.button = button;
  button.addEventListener("click", () => choose(field));
  button.addEventListener("focus", () => choose(field));
  button.addEventListener("keydown", (event) => key(event, field));
  button.addEventListener("pointerdown", (event) => drag(event, field));
  draw(field);
}

function draw(field) {
  const page = pageOf(field);
  if (!page) return;
  keepInside(field, page);
  const { button } = field;
  const person = people.get(field.recipient_id);
  button.className = `placed person-${person ? ((person.number - 1) % 6) + 1 : 6}`;
  const { style } = button;
  style.left = `${(field.x / page.width) * 100}%`;
  style.top = `${(field.y / page.height) * 100}%`;
  style.width = `${(field.width / page.width) * 100}%`;
  style.height = `${(field.height / page.height) * 100}%`;
  const title = field.label || types[field.type];
  button.firstChild.textContent = title;
  const name = fill(words.unnamed, { type: title, name: person?.name ?? words.nobody, page: field.page });
  button.setAttribute("aria-label", name);
  if (button.parentElement !== page.fields) page.fields.append(button);
}

function keepInside(field, page) {
  field.width = Math.min(Math.max(field.width, 4), page.width);
  field.height = Math.min(Math.max(field.height, 4), page.height);
  field.x = Math.min(Math.max(field.x, 0), page.width - field.width);
  field.y = Math.min(Math.max(field.y, 0), page.height - field.height);
  for (const name of ["x", "y", "width", "height"]) field[name] = Math.round(field[name] * 10) / 10;
}

function place(type, page, x, y) {
  const kind = kinds.get(type);
  const recipient = form.ownerDocument.querySelector("[name=recipient]:checked")?.value ?? "";
  if (kind.is_signing && recipient && !people.get(recipient).signs) {
    announce(words.signer_only);
    element("save-state").textContent = words.signer_only;
    return;
  }
  const field = {
    id: "", document: page.document, recipient_id: recipient, type, page: page.number,
    x: x - kind.width / 2, y: y - kind.height / 2, width: kind.width, height: kind.height,
    required: true, read_only: false, label: "", value: "", options: CHOICES.has(type) ? ["1", "2"] : [], group: type === "radio" ? "group" : "",
  };
  fields.push(field);
  lay(field);
  store(field);
  field.button.focus();
  field.button.scrollIntoView({ block: "nearest" });
  announce(fill(words.added, { type: types[type], page: page.number }));
}

function remove(field) {
  field.gone = true;
  clearTimeout(field.timer);
  fields.splice(fields.indexOf(field), 1);
  field.button.remove();
  choose(null);
  announce(fill(words.removed, { type: types[field.type] }));
  save(async () => {
    if (field.id) await call(session, "DELETE", `/fields/${field.id}`);
  });
  (fields.at(-1)?.button ?? document.querySelector("[data-type]")).focus();
}

// By keys: arrows move, Shift and arrows size, Alt moves by a tenth, Delete removes.
function key(event, field) {
  const step = event.altKey ? 0.5 : 5;
  const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (way) {
    event.preventDefault();
    if (event.shiftKey) Object.assign(field, { width: field.width + way[0], height: field.height + way[1] });
    else Object.assign(field, { x: field.x + way[0], y: field.y + way[1] });
    moved(field);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    event.preventDefault();
    remove(field);
  } else if (event.key === "PageDown" || event.key === "PageUp") {
    const next = viewer.pages[viewer.pages.indexOf(pageOf(field)) + (event.key === "PageDown" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    Object.assign(field, { document: next.document, page: next.number });
    moved(field);
    field.button.focus();
  }
}

function moved(field) {
  draw(field);
  show(field);
  store(field);
  const { x, y, width, height } = field;
  announce(fill(words.moved, { x, y, width, height }));
}

// By pointer: the field follows; at its corner it grows.
function drag(event, field) {
  if (event.button !== 0) return;
  const sizes = event.target.tagName === "I";
  const page = pageOf(field);
  const start = { x: event.clientX, y: event.clientY, field: { ...field } };
  field.button.setPointerCapture(event.pointerId);
  const follow = (move) => {
    const dx = (move.clientX - start.x) / viewer.scale;
    const dy = (move.clientY - start.y) / viewer.scale;
    if (Math.hypot(dx, dy) < 1) return;
    if (sizes) Object.assign(field, { width: start.field.width + dx, height: start.field.height + dy });
    else Object.assign(field, { x: start.field.x + dx, y: start.field.y + dy });
    // Past the edge of a page the field goes on to the next one.
    const under = sizes ? page : pageAt(move.clientX, move.clientY);
    if (under && (under.number !== field.page || under.document !== field.document)) {
      const box = under.element.getBoundingClientRect();
      Object.assign(field, { document: under.document, page: under.number });
      field.y = (move.clientY - box.top) / viewer.scale - field.height / 2;
      start.y = move.clientY;
      start.x = move.clientX;
      start.field = { ...field };
    }
    draw(field);
    show(field);
  };
  const end = () => {
    field.button.removeEventListener("pointermove", follow);
    if (start.field.x !== field.x || start.field.y !== field.y || sizes) store(field);
  };
  field.button.addEventListener("pointermove", follow);
  field.button.addEventListener("pointerup", end, { once: true });
  field.button.addEventListener("pointercancel", end, { once: true });
}

function pageAt(x, y) {
  return viewer.pages.find((page) => {
    const box = page.element.getBoundingClientRect();
    return x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
  });
}

// What is chosen, and its properties

function choose(field) {
  if (chosen === field) return;
  chosen?.button.setAttribute("aria-pressed", "false");
  chosen = field;
  field?.button.setAttribute("aria-pressed", "true");
  element("nothing-chosen").hidden = Boolean(field);
  form.hidden = !field;
  if (field) show(field);
}

const INPUTS = { label: "p-label", group: "p-group", page: "p-page", x: "p-x", y: "p-y", width: "p-width", height: "p-height" };

function show(field) {
  if (field !== chosen) return;
  element("property-title").textContent = types[field.type];
  for (const [name, id] of Object.entries(INPUTS))
    if (document.activeElement !== element(id)) element(id).value = field[name];
  element("p-page").max = viewer.pages.filter((page) => page.document === field.document).length;
  element("p-recipient").value = field.recipient_id;
  element("p-required").checked = field.required;
  element("p-options").value = field.options.join("\n");
  element("p-options-row").hidden = !CHOICES.has(field.type);
  element("p-group-row").hidden = field.type !== "radio";
}

for (const [name, id] of Object.entries(INPUTS)) {
  element(id).addEventListener("change", ({ target }) => {
    if (!chosen || !target.checkValidity()) return;
    chosen[name] = target.type === "number" ? Number(target.value) : target.value;
    draw(chosen);
    show(chosen);
    store(chosen);
  });
}
element("p-recipient").addEventListener("change", ({ target }) => {
  if (kinds.get(chosen.type)?.is_signing && !people.get(target.value)?.signs) {
    announce(words.signer_only);
    target.value = chosen.recipient_id;
    return;
  }
  chosen.recipient_id = target.value;
  draw(chosen);
  store(chosen);
});
element("p-required").addEventListener("change", ({ target }) => {
  chosen.required = target.checked;
  store(chosen);
});
element("p-options").addEventListener("change", ({ target }) => {
  chosen.options = target.value.split("\n").map((line) => line.trim()).filter(Boolean);
  store(chosen);
});
element("p-remove").addEventListener("click", () => chosen && remove(chosen));
form.addEventListener("submit", (event) => event.preventDefault());

// The palette

const allow = () => {
  const person = people.get(document.querySelector("[name=recipient]:checked")?.value);
  for (const button of document.querySelectorAll("[data-type]"))
    button.setAttribute("aria-disabled", String(Boolean(person && !person.signs && kinds.get(button.dataset.type).is_signing)));
};
for (const input of document.querySelectorAll("[name=recipient]")) input.addEventListener("change", allow);
allow();

for (const button of document.querySelectorAll("[data-type]")) {
  button.addEventListener("click", () => {
    const page = viewer.inSight();
    const box = page.element.getBoundingClientRect();
    const middle = (Math.max(box.top, 0) + Math.min(box.bottom, window.innerHeight)) / 2;
    place(button.dataset.type, page, page.width / 2, (middle - box.top) / viewer.scale);
  });
  button.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData("text/plain", button.dataset.type);
    event.dataTransfer.effectAllowed = "copy";
  });
}
element("documents").addEventListener("dragover", (event) => {
  event.preventDefault();
  for (const page of viewer.pages) page.element.classList.toggle("is-target", page.element.contains(event.target));
});
element("documents").addEventListener("drop", (event) => {
  event.preventDefault();
  for (const page of viewer.pages) page.element.classList.remove("is-target");
  const type = event.dataTransfer.getData("text/plain");
  const page = pageAt(event.clientX, event.clientY);
  if (!page || !kinds.has(type)) return;
  const box = page.element.getBoundingClientRect();
  place(type, page, (event.clientX - box.left) / viewer.scale, (event.clientY - box.top) / viewer.scale);
});

const opening = viewer.open(config.documents);
for (const field of fields) lay(field);
await opening;
