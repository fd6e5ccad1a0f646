// The keyboard. Keys do what a visible control does, and only while no field has the focus.
//
//   <body data-keys='{"next": "n", …}'>   the key of each act, as this person has set them; two characters: one after the other
//   <body data-keys-off>                  no key of one character does anything
//   <body data-stay>                      a decision by key stays on its page
//   data-act="next"                       the act's key presses this link or button (or moves the focus into this field)
//   data-act="approve" data-aim           the key only moves the focus here: Enter is the second, deliberate press
//   data-confirm                          in what a key opens and nothing is typed into: the button that gets the focus
//   data-focus                            gets the focus when it arrives; the first wrong field comes before it
//   data-row                              one of the rows that keys walk through; its first link is what is opened
//
// Others listen:  desk:act   on the document, cancelable: {act} that no control here stands for
//
// A decision made by key goes on to the next approval at once; one made with the pointer stays, so that its outcome is read.
// A page gives the key of a decision to low risk only, opens what will happen for medium risk, and gives none above. One switch turns it all off.

import { keepFocus, say, takeFocus } from "./focus.js";

const TOLD = "desk.told";
const SEQUENCE_MS = 1200;
const FIELDS = "input:not([type=hidden]), textarea, select";
const WALKS = new Set(["next_row", "previous_row"]);

const map = document.getElementById("keys");
export const keys = JSON.parse(document.body.dataset.keys ?? "{}");

let pending = "";
let pendingTimer = 0;

let byKey = false;

const off = () => "keysOff" in document.body.dataset;
const typing = (target) => target.closest("input, textarea, select, [contenteditable]") && !["checkbox", "radio", "button"].includes(target.type);
export const visible = (element) => element.checkVisibility() && !element.matches(":disabled");

/** Does what a control stands for; one that only aims, or is a field, gets the focus. */
export function press(element) {
  if (element.matches("input:not([type=checkbox]), textarea, select") || "aim" in element.dataset) {
    element.focus();
    return;
  }
  if (element.tagName !== "SUMMARY") return element.click();
  const within = element.parentElement;
  if (!within.open) element.click();
  ["[data-confirm]", "summary ~ * button"].reduce((found, other) => found ?? within.querySelector(other), within.querySelector(FIELDS))?.focus();
}

const find = (act) => [...document.querySelectorAll(`[data-act="${CSS.escape(act)}"]`)].find(visible);

function walk(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter(visible);
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.classList.contains("current") || row.contains(document.activeElement));
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))];
  for (const row of rows) row.classList.toggle("current", row === next);
  next.querySelector("a").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  return true;
}

/** The reasons on the page of an approval, unfolded. */
function showEvidence() {
  const heading = document.getElementById("h-why");
  if (!heading || !document.getElementById("panel")) return false;
  for (const folded of heading.closest("section").querySelectorAll("details")) folded.open = true;
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "start" });
  return true;
}

/** What the reader has changed, in the form for it. */
function showDifferences() {
  const form = document.getElementById("act-modify");
  if (!form) return false;
  form.open = true;
  document.getElementById("h-changes").focus();
  return true;
}

function showMap() {
  map.showModal();
  return true;
}

function openRow() {
  const link = [...document.querySelectorAll("[data-row].current")].find(visible)?.querySelector("a");
  link?.click();
  return Boolean(link);
}

const HERE = {
  next_row: () => walk(1),
  previous_row: () => walk(-1),
  open: openRow,
  evidence: showEvidence,
  differences: showDifferences,
  map: showMap,
};

/** Does an act; true when it meant something here. */
export function perform(act) {
  if (HERE[act]) return HERE[act]();
  const target = find(act);
  if (!target) return !document.dispatchEvent(new CustomEvent("desk:act", { cancelable: true, detail: { act } }));
  press(target);
  return true;
}

/** True when the key meant something here. */
function hear(key, repeated) {
  const chord = pending ? `${pending} ${key}` : key;
  const isSecond = pending !== "";
  pending = "";
  const acts = Object.keys(keys).filter((act) => keys[act] === chord && (!repeated || WALKS.has(act)));
  if (acts.some(perform)) return true;
  if (isSecond || repeated || !Object.values(keys).some((each) => each.startsWith(`${key} `))) return false;
  pending = key;
  clearTimeout(pendingTimer);
  pendingTimer = setTimeout(() => (pending = ""), SEQUENCE_MS);
  return true;
}

/** Out of a field or a menu, to what it belongs to: keys work there. */
function leave(target) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    if (menu.contains(target)) menu.querySelector("summary").focus();
  }
  if (document.activeElement !== target || !typing(target)) return;
  const inside = target.closest("details")?.querySelector(":scope > summary");
  const heading = target.closest("aside, main")?.querySelector(":is(h1, h2)[tabindex='-1']");
  (inside ?? heading ?? document.getElementById("main") ?? target).focus({ preventScroll: true });
}

/** Sends the form that somebody types in. What is grave is not sent by a key: its button gets the focus. */
function send(form) {
  const button = [...form.elements].find((each) => each.type === "submit" && visible(each));
  if (!button) return false;
  if (form.elements.confirm || button.matches("[data-arm], [data-aim], [aria-disabled=true]")) button.focus();
  else button.click();
  return true;
}

/** After a decision by key: on to the next approval. What was done is told there. */
function goOn() {
  const next = document.querySelector("#panel [data-act=next]");
  if (!byKey || !next || "stay" in document.body.dataset) return;
  byKey = false;
  sessionStorage.setItem(TOLD, `${document.querySelector("#panel .lead")?.textContent.trim() ?? ""}: ${document.querySelector("h1").textContent.trim()}`);
  location.assign(next.href);
}

/** What the page before this one has done. The reader goes on with what this page is about. */
function tellWhatWasDone() {
  const text = sessionStorage.getItem(TOLD);
  const place = document.getElementById("told");
  if (!text || !place) return;
  sessionStorage.removeItem(TOLD);
  const note = document.createElement("p");
  note.className = "note";
  note.textContent = text;
  place.replaceChildren(note);
  say(text);
  document.querySelector("h1[tabindex]")?.focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.isComposing || event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
  if (key === "Escape") return leave(target);
  if (event.ctrlKey || event.metaKey) {
    if (key === "Enter" && !event.repeat && typing(target) && target.form && send(target.form)) event.preventDefault();
    return;
  }
  if (off() || typing(target) || key.length !== 1) return;
  if (hear(key, event.repeat)) event.preventDefault();
});

document.addEventListener("htmx:after:swap", () => {
  const arrived = document.querySelector("[data-focus]");
  if (!arrived) return keepFocus();
  if (arrived.id === "h-decide") goOn();
  takeFocus(arrived);
});

document.addEventListener("click", (event) => {
  const { target, detail } = event;
  if (target.closest("#panel .btn.solid")) byKey = detail === 0; // a key's click has no clicks to count
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
  if (!target.closest("[data-open-keys]")) return;
  event.preventDefault();
  showMap();
});

/** The switches beside the map are the person's own and count in all their browsers; here they count at once. */
function watchSwitches(form) {
  let saving = Promise.resolve();
  form.addEventListener("change", () => {
    document.body.toggleAttribute("data-keys-off", !form.elements.uses_keys.checked);
    document.body.toggleAttribute("data-stay", !form.elements.opens_next.checked);
    saving = saving.then(() => save(form));
  });
}

async function save(form) {
  const problem = form.querySelector("[data-unsaved]");
  let isSaved = false;
  try {
    isSaved = (await fetch(form.action, { method: "POST", body: new FormData(form) })).status === 204;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  problem.textContent = isSaved ? "" : problem.dataset.unsaved;
}

if (map) {
  watchSwitches(map.querySelector("[data-switches]"));
  tellWhatWasDone();
  const arrived = document.querySelector("[data-focus]");
  if (document.activeElement === document.body) takeFocus(arrived);
}
