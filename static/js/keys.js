// The keyboard. Keys do what a visible control does, and only while no field has the focus.
//
//   data-key="n"             the key presses this link or button (or moves the focus into this field)
//   data-key="a" data-aim    the key only moves the focus here: Enter is the second, deliberate press
//   data-confirm             in what a key opens and nothing is typed into: the button that gets the focus
//   data-key="g r"           two keys after one another
//   data-focus               gets the focus when it arrives as an answer; the first wrong field comes before it
//   data-row                 one of the rows that j and k walk through; its first link is what Enter opens
//
// Others listen:  desk:key   on the document, cancelable: {key} that nothing here has a meaning for
//
// A decision made by key goes on to the next approval at once; one made with the pointer stays, so that its outcome is read.
// A page gives the key of a decision to low risk only, opens what will happen for medium risk, and gives none above. One switch turns it all off.

const OFF = "desk.keys.off";
const STAY = "desk.keys.stay";
const TOLD = "desk.told";
const SEQUENCE_MS = 1200;

const map = document.getElementById("keys");
let pending = "";
let pendingTimer = 0;

let byKey = false;

const off = () => localStorage.getItem(OFF) === "1";
const typing = (target) => target.closest("input, textarea, select, [contenteditable]") && !["checkbox", "radio", "button"].includes(target.type);
const visible = (element) => element.checkVisibility() && !element.matches(":disabled");

function press(element) {
  if (element.matches("input:not([type=checkbox]), textarea, select") || "aim" in element.dataset) {
    element.focus();
    return;
  }
  element.click();
  if (element.tagName !== "SUMMARY") return;
  const within = element.parentElement;
  (within.querySelector("input:not([type=hidden]), textarea, select") ?? within.querySelector("[data-confirm]"))?.focus();
}

function find(key) {
  return [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find(visible);
}

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

function leave() {
  if (document.activeElement !== document.body) document.activeElement.blur();
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
}

/** True when the key meant something here. */
function act(key) {
  const chord = pending ? `${pending} ${key}` : key;
  pending = "";
  if (chord === "j") return walk(1);
  if (chord === "k") return walk(-1);
  if (chord === "?") {
    map.showModal();
    return true;
  }
  const target = find(chord);
  if (target) {
    press(target);
    return true;
  }
  if (document.querySelector(`[data-key^="${CSS.escape(key)} "]`)) {
    pending = key;
    clearTimeout(pendingTimer);
    pendingTimer = setTimeout(() => (pending = ""), SEQUENCE_MS);
    return true;
  }
  return !document.dispatchEvent(new CustomEvent("desk:key", { cancelable: true, detail: { key } }));
}

/** After a decision by key: on to the next approval. What was done is told there. */
function goOn() {
  const next = document.querySelector("#panel [data-key=n]");
  if (!byKey || !next || localStorage.getItem(STAY) === "1") return;
  byKey = false;
  sessionStorage.setItem(TOLD, `${document.querySelector("#panel .lead")?.textContent.trim() ?? ""}: ${document.querySelector("h1").textContent.trim()}`);
  location.assign(next.href);
}

/** What the page before this one has done. */
function tellWhatWasDone() {
  const text = sessionStorage.getItem(TOLD);
  const place = document.getElementById("told");
  if (!text || !place) return;
  sessionStorage.removeItem(TOLD);
  const note = document.createElement("p");
  note.className = "note";
  note.textContent = text;
  place.replaceChildren(note);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return leave();
  if (off() || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key.length === 1 && act(event.key)) event.preventDefault();
});

document.addEventListener("htmx:after:swap", () => {
  const arrived = document.querySelector("[data-focus]");
  if (!arrived) return;
  if (arrived.id === "h-decide") goOn();
  (document.querySelector("[aria-invalid=true]") ?? arrived).focus();
  arrived.removeAttribute("data-focus");
});

document.addEventListener("click", ({ target, detail }) => {
  if (target.closest("#panel .btn.solid")) byKey = detail === 0; // a key's click has no clicks to count
  if (target.closest("[data-open-keys]")) map.showModal();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
});

/** A switch in the map of keys, kept in this browser. `storedMeans`: the state that is stored; the other one is the usual. */
function keep(box, name, { storedMeans, changed = () => {} }) {
  box.checked = (localStorage.getItem(name) === "1") === storedMeans;
  box.addEventListener("change", () => {
    if (box.checked === storedMeans) localStorage.setItem(name, "1");
    else localStorage.removeItem(name);
    changed();
  });
  changed();
}

if (map) {
  const showState = () => document.documentElement.toggleAttribute("data-keys-off", off());
  keep(map.querySelector("[data-keys-switch]"), OFF, { storedMeans: false, changed: showState });
  keep(map.querySelector("[data-advance-switch]"), STAY, { storedMeans: false });
  tellWhatWasDone();
}
