// A button that lets something grave happen comes alive once its reasons stood on the screen for some seconds.
//
//   <button data-arm="3" data-arm-after="h-why" data-arm-key="…">   3 s after the element with the id h-why was in sight
//   <p id="arm-hint" data-armed="You can approve now." data-offline="…">   what it waits for, and what to say when it does not any
//                                                                          more, and while the page is cut off from the desk
//
// While the connection is lost it sleeps again: what stands on the screen may be old, and for grave things that is not enough.
// It stays reachable by keys meanwhile (aria-disabled), so its hint is read out. What was armed stays so when the panel is fetched
// again: data-arm-key names the question and its version.

const armed = new Set();
const counting = new Map();

const wire = document.getElementById("wire");
const isCutOff = () => wire?.dataset.state === "offline" || wire?.dataset.state === "ended";
const sleeping = () => [...document.querySelectorAll("[data-arm]")].filter((button) => !armed.has(button.dataset.armKey));

function wake(key) {
  armed.add(key);
  counting.delete(key);
  show();
}

/** Brings buttons and hint in line with what is armed and with the connection. */
function show() {
  const buttons = [...document.querySelectorAll("[data-arm]")];
  for (const button of buttons) {
    if (armed.has(button.dataset.armKey) && !isCutOff()) button.removeAttribute("aria-disabled");
    else button.setAttribute("aria-disabled", "true");
  }
  const hint = document.getElementById("arm-hint");
  if (!hint) return;
  hint.dataset.waiting ??= hint.textContent;
  const isArmed = buttons.some((button) => armed.has(button.dataset.armKey));
  const text = isCutOff() ? hint.dataset.offline : isArmed ? hint.dataset.armed : hint.dataset.waiting;
  if (hint.textContent === text) return;
  hint.textContent = text;
  hint.setAttribute("role", "status");
}

const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting } of entries) {
    if (!isIntersecting) continue;
    for (const { dataset } of sleeping()) {
      if (!counting.has(dataset.armKey)) counting.set(dataset.armKey, setTimeout(() => wake(dataset.armKey), Number(dataset.arm) * 1000));
    }
  }
});

function look() {
  for (const button of document.querySelectorAll("[data-arm]")) {
    if (armed.has(button.dataset.armKey)) continue;
    const evidence = document.getElementById(button.dataset.armAfter);
    if (evidence) watcher.observe(evidence);
  }
  show();
}

document.addEventListener(
  "submit",
  (event) => {
    if (event.submitter?.getAttribute("aria-disabled") !== "true") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const why = isCutOff() ? "arm-hint" : event.submitter.dataset.armAfter;
    document.getElementById(why)?.scrollIntoView({ block: "center" });
  },
  true,
);
// Answers and pushes bring new buttons, and a card with new reasons.
const brought = ({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE);
new MutationObserver((changes) => changes.some(brought) && look()).observe(document.body, { childList: true, subtree: true });
if (wire) new MutationObserver(show).observe(wire, { attributes: true, attributeFilter: ["data-state"] });
look();
