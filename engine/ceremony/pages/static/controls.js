// A field as a control: the same ones stand on the page, where there is room, and in the bar below.
import { make } from "./page.js";

const INPUT_TYPES = { date: "date", email: "email" };
export const SIGNED = new Set(["signature", "initials"]);
export const TICKED = new Set(["checkbox", "radio"]);
// What stands on the page as a button and is filled in elsewhere, however much room there is.
const PRESSED = new Set(["signature", "initials", "attachment"]);

export const isTyped = (field) => !PRESSED.has(field.type) && !TICKED.has(field.type);

// An input or select for a field that is typed or chosen. `change` hears the value; `now` says that it is final.
export function typedControl(field, words, change) {
  const common = { "aria-label": field.name, autocomplete: "off", dir: "auto", required: field.required };
  if (field.type === "dropdown") {
    const options = ["", ...field.options].map((value) =>
      make("option", { value, selected: value === field.value }, value || words.choose),
    );
    const select = make("select", common, ...options);
    select.addEventListener("change", () => change(select.value, true));
    return select;
  }
  const input = make("input", { ...common, type: INPUT_TYPES[field.type] ?? "text", maxlength: "4000" });
  if (field.type === "number") input.inputMode = "decimal";
  input.value = field.value;
  input.addEventListener("input", () => change(input.value, false));
  input.addEventListener("change", () => change(input.value, true));
  return input;
}

export function tickControl(field, change, name) {
  const input = make("input", { type: field.type, "aria-label": field.name, name: `${name}-${field.group || field.id}` });
  input.checked = field.value === "true";
  input.addEventListener("change", () => change(input.checked ? "true" : "", true));
  return input;
}
