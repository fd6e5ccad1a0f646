// All that can be done on this page, to choose from by typing: what its visible controls do, and the pages that there are.
// A choice does what the control's own key does: what is grave, or is sent with a form, only gets the focus.
//
//   data-open-palette      opens it with the pointer; Ctrl+K does with the keyboard
//   data-words-of="map"    the words of an act that has no control of its own

import { say } from "./focus.js";
import { keys, perform, press, visible } from "./keys.js";

const MOST = 50;

const dialog = document.getElementById("palette");
const field = document.getElementById("palette-text");
const list = document.getElementById("palette-list");
const found = dialog?.querySelector("[data-none]");

let choices = [];
let shown = [];
let at = 0;

/** The accessible name of a control, in one line. */
function nameOf(control) {
  const copy = control.cloneNode(true);
  for (const silent of copy.querySelectorAll("[aria-hidden=true]")) silent.remove();
  const label = control.labels?.[0]?.textContent;
  return (control.getAttribute("aria-label") ?? label ?? copy.textContent).replace(/\s+/g, " ").trim();
}

/** A control as a choice. A button that sends a form, unless it has a key, is only gone to. */
function choiceOf(control) {
  const { act } = control.dataset;
  const isSent = control.type === "submit" && !act;
  return { name: nameOf(control), key: act ? keys[act] : "", run: () => (isSent ? control.focus() : press(control)) };
}

/** What stands for no control, where it means something here. */
function actsWithoutControl() {
  const isThere = { evidence: document.querySelector("#panel") && document.querySelector("#h-why"), differences: document.getElementById("act-modify"), map: true };
  return Object.keys(isThere).filter((act) => isThere[act]).map((act) => ({
    name: document.querySelector(`[data-words-of=${act}]`).textContent.replace(/^./, (first) => first.toUpperCase()),
    key: keys[act],
    run: () => perform(act),
  }));
}

/** The pages of the menu, with the keys that lead to them. */
function pages() {
  return [...document.querySelectorAll(".top .pop a:not([data-open-keys])")].map((link) => {
    const act = document.querySelector(`.top [data-act][href="${CSS.escape(link.getAttribute("href"))}"]`)?.dataset.act;
    return { name: nameOf(link), key: act ? keys[act] : "", run: () => link.click() };
  });
}

function collect() {
  const controls = [...document.querySelectorAll("main .btn, aside .btn, :is(main, aside, .rail) [data-act]")].filter(visible);
  const all = [...controls.map(choiceOf), ...actsWithoutControl(), ...pages()].filter(({ name }) => name);
  const seen = new Set();
  return all.filter(({ name }) => !seen.has(name) && seen.add(name));
}

function option({ name, key }, index) {
  const item = document.createElement("li");
  item.id = `palette-${index}`;
  item.setAttribute("role", "option");
  item.dataset.index = index;
  const words = document.createElement("span");
  words.textContent = name;
  item.append(words);
  for (const each of key ? key.split(" ") : []) {
    const mark = document.createElement("kbd");
    mark.textContent = each;
    item.append(mark);
  }
  return item;
}

function stand(index) {
  at = Math.max(0, Math.min(shown.length - 1, index));
  for (const item of list.children) item.setAttribute("aria-selected", String(Number(item.dataset.index) === at));
  const current = list.children[at];
  if (current) field.setAttribute("aria-activedescendant", current.id);
  else field.removeAttribute("aria-activedescendant");
  current?.scrollIntoView({ block: "nearest" });
}

/** Shows the choices that have every word of what is typed. */
function filter() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = choices.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word))).slice(0, MOST);
  list.replaceChildren(...shown.map(option));
  found.hidden = shown.length > 0;
  const { none, one, many } = found.dataset;
  found.textContent = shown.length === 0 ? none : shown.length === 1 ? one : many.replace("{n}", shown.length);
  if (words.length) say(found.textContent);
  stand(0);
}

function open() {
  choices = collect();
  field.value = "";
  dialog.showModal();
  filter();
  field.focus();
}

function choose(index) {
  const choice = shown[index];
  if (!choice) return;
  dialog.close(); // the focus goes back to where it was; the act takes it on from there
  choice.run();
}

const MOVES = { ArrowDown: () => at + 1, ArrowUp: () => at - 1, PageDown: () => at + 8, PageUp: () => at - 8 };

if (dialog) {
  field.addEventListener("input", filter);
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (MOVES[event.key]) stand(MOVES[event.key]());
    else if (event.key === "Enter") choose(at);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", ({ target }) => {
    const item = target.closest("[data-index]");
    if (item) choose(Number(item.dataset.index));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.repeat) return;
    if (event.isComposing || document.querySelector("dialog[open]") || event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select")) return;
    event.preventDefault();
    open();
  });
  for (const opener of document.querySelectorAll("[data-open-palette]")) {
    opener.hidden = false;
    opener.addEventListener("click", open);
  }
}
