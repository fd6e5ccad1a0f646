// A button that lets something grave happen comes alive once all that is on the list above it is done.
//
//   <section data-before>               the list, in the form of the button
//     <li data-todo="evidence">         every details[data-evidence] of the card was opened; there may be none
//     <li data-todo="reason">           something stands in its text field
//     <li data-todo="typed" data-wanted="A-1">   exactly that stands in its field
//     <li data-todo="looked">           the evidence was open, or where there is none the reasons in sight, for some seconds
//     <p data-hint data-still="…" data-armed="…" data-offline="…">   says what is missing; read out when it changes
//   <button data-arm="3" data-arm-after="h-why" data-arm-key="…">   how many seconds, after what, and of which question
//
// While the connection is lost it sleeps again: what stands on the screen may be old, and for grave things that is not enough.
// It stays reachable by keys meanwhile (aria-disabled), so its hint is read out. What was opened and looked at stays so when the
// panel is fetched again: data-arm-key names the question and its version. The page says to the desk which evidence was open;
// without this script its reader says so with a box.

const armed = new Set();
const counting = new Map();
const openedOf = new Map(); // question and version: ids of the evidence that was open
const inSight = new Set(); // questions whose reasons were on the screen

const wire = document.getElementById("wire");
const isCutOff = () => wire?.dataset.state === "offline" || wire?.dataset.state === "ended";
const evidence = () => [...document.querySelectorAll("#approval details[data-evidence]")];
const buttons = () => [...document.querySelectorAll("[data-arm]")];

function opened(key) {
  if (!openedOf.has(key)) openedOf.set(key, new Set());
  return openedOf.get(key);
}

function noteOpen(key) {
  for (const piece of evidence()) if (piece.open) opened(key).add(piece.id);
}

const isRead = (key) => evidence().every((piece) => opened(key).has(piece.id));

function count(button) {
  const { arm, armKey: key } = button.dataset;
  const isBegun = evidence().length ? isRead(key) : inSight.has(key);
  if (!isBegun || armed.has(key) || counting.has(key)) return;
  counting.set(key, setTimeout(() => (armed.add(key), counting.delete(key), show()), Number(arm) * 1000));
}

/** Whether an item of the list is done, and its word where that is more than done or to do. */
const judges = {
  evidence(item, key) {
    const all = evidence();
    const done = all.filter((piece) => opened(key).has(piece.id)).length;
    const box = item.querySelector("[name=read]");
    box.required = false;
    box.checked = box.defaultChecked = done === all.length; // tracked here, so nobody has to say it
    item.querySelector("[data-said]").hidden = true;
    item.closest("form").elements.namedItem("opened").value = [...opened(key)].join(" ");
    return [done === all.length, all.length ? part(item.dataset.part, done, all.length) : item.dataset.none];
  },
  reason: (item) => [item.querySelector("textarea").value.trim() !== ""],
  typed: (item) => [item.querySelector("input").value.trim() === item.dataset.wanted],
  looked: (_item, key) => [armed.has(key)],
};

const part = (text, done, all) => text.replace("{n}", done).replace("{all}", all);

function judge(list, key) {
  const missing = [];
  const items = [...list.querySelectorAll("[data-todo]")];
  for (const item of items) {
    const [isDone, word] = judges[item.dataset.todo](item, key);
    const { todoWord, doneWord } = item.querySelector(".tick").dataset;
    item.toggleAttribute("data-done", isDone);
    write(item.querySelector("[data-word]"), word ?? (isDone ? doneWord : todoWord));
    if (!isDone) missing.push(item.querySelector("b, label").textContent.trim());
  }
  const counter = list.querySelector("[data-count]");
  write(counter, part(counter.dataset.count, items.length - missing.length, items.length));
  return missing;
}

function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** Brings lists, buttons and hints in line with what is done and with the connection. */
function show() {
  for (const button of buttons()) {
    const list = button.form.querySelector("[data-before]");
    const missing = judge(list, button.dataset.armKey);
    if (missing.length || isCutOff()) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    const hint = list.querySelector("[data-hint]");
    if (!hint.checkVisibility()) continue; // of a form that is folded: nothing to read out
    hint.setAttribute("role", "status");
    const { still, armed: ready, offline } = hint.dataset;
    write(hint, isCutOff() ? offline : missing.length ? `${still} ${missing.join(", ")}.` : ready);
  }
}

const watcher = new IntersectionObserver((entries) => {
  if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
  for (const button of buttons()) {
    inSight.add(button.dataset.armKey);
    count(button);
  }
});

function look() {
  for (const button of buttons()) {
    noteOpen(button.dataset.armKey);
    count(button);
    const reasons = document.getElementById(button.dataset.armAfter);
    if (reasons && !inSight.has(button.dataset.armKey)) watcher.observe(reasons);
  }
  show();
}

/** Where the first thing is that has still to be done. */
function place(form) {
  const missing = form.querySelector("[data-todo]:not([data-done])");
  if (isCutOff() || !missing) return form.querySelector("[data-hint]");
  const { armKey: key, armAfter } = form.querySelector("[data-arm]").dataset;
  if (missing.dataset.todo === "evidence") return evidence().find((piece) => !opened(key).has(piece.id)).querySelector("summary");
  return missing.querySelector("textarea, input") ?? document.getElementById(armAfter) ?? missing;
}

document.addEventListener(
  "submit",
  (event) => {
    if (event.submitter?.getAttribute("aria-disabled") !== "true") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const wanted = place(event.target);
    wanted.scrollIntoView({ block: "center" });
    wanted.focus();
  },
  true,
);
document.addEventListener("toggle", ({ target }) => target.matches("[data-evidence], .act") && look(), true);
document.addEventListener("input", ({ target }) => target.closest("[data-before]") && show());
// Answers and pushes bring new buttons, and a card with new reasons.
const brought = ({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE);
new MutationObserver((changes) => changes.some(brought) && look()).observe(document.body, { childList: true, subtree: true });
if (wire) new MutationObserver(show).observe(wire, { attributes: true, attributeFilter: ["data-state"] });
look();
