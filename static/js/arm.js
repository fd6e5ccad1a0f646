// A button that lets something grave happen comes alive once its reasons stood on the screen for some seconds.
//
//   <button data-arm="3" data-arm-after="h-why" data-arm-key="…">   3 s after the element with the id h-why was in sight
//   <p id="arm-hint" data-armed="You can approve now.">             what it waits for, and what to say when it does not any more
//
// It stays reachable by keys meanwhile (aria-disabled), so its hint is read out. What was armed stays so when the panel is fetched
// again: data-arm-key names the question and its version.

const armed = new Set();
const counting = new Map();

const sleeping = () => [...document.querySelectorAll("[data-arm]")].filter((button) => !armed.has(button.dataset.armKey));

function wake(key) {
  armed.add(key);
  counting.delete(key);
  for (const button of document.querySelectorAll(`[data-arm-key="${CSS.escape(key)}"]`)) button.removeAttribute("aria-disabled");
  const hint = document.getElementById("arm-hint");
  if (hint && hint.textContent !== hint.dataset.armed) {
    hint.textContent = hint.dataset.armed;
    hint.setAttribute("role", "status");
  }
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
    if (armed.has(button.dataset.armKey)) {
      wake(button.dataset.armKey);
      continue;
    }
    button.setAttribute("aria-disabled", "true");
    const evidence = document.getElementById(button.dataset.armAfter);
    if (evidence) watcher.observe(evidence);
  }
}

document.addEventListener(
  "submit",
  (event) => {
    if (event.submitter?.getAttribute("aria-disabled") !== "true") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    document.getElementById(event.submitter.dataset.armAfter)?.scrollIntoView({ block: "center" });
  },
  true,
);
// Answers and pushes bring new buttons, and a card with new reasons.
const brought = ({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE);
new MutationObserver((changes) => changes.some(brought) && look()).observe(document.body, { childList: true, subtree: true });
look();
