// Notifications of the browser, for who has switched them on in this browser: a new approval, while the page is not looked at.
// They carry the risk and lead to the approval; nothing can be decided in them. What is said stands on this script's own tag.

const KEY = "desk.notify";
const FRESH_MS = 120_000;

const words = document.getElementById("notify").dataset;
const told = new Set();

const supported = "Notification" in window && window.isSecureContext;
const wanted = () => supported && Notification.permission === "granted" && localStorage.getItem(KEY) === "on";

/** When the object was made, in milliseconds: ids are UUIDv7 and begin with it. */
function madeAt(id) {
  return parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}

document.addEventListener("desk:shown", ({ detail: frame }) => {
  if (frame.kind !== "row" || !wanted() || document.visibilityState === "visible") return;
  if (told.has(frame.id) || Date.now() - madeAt(frame.id) > FRESH_MS) return;
  const template = document.createElement("template");
  template.innerHTML = frame.html;
  const row = template.content.querySelector("[data-row]:not([data-gone])");
  const address = row?.querySelector("a")?.href;
  if (!address) return;
  told.add(frame.id);
  // The tag makes one of the notifications of several tabs.
  const shown = new Notification(words[row.dataset.group] ?? words.medium, { tag: frame.id });
  shown.addEventListener("click", () => {
    shown.close();
    window.focus();
    location.assign(address);
  });
});

const section = document.getElementById("in-page");

/** Shows which of the states holds in this browser: unsupported, denied, off or on. */
function show() {
  const state = !supported ? "unsupported" : Notification.permission === "denied" ? "denied" : wanted() ? "on" : "off";
  for (const part of section.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== state;
}

if (section) {
  section.addEventListener("click", async ({ target }) => {
    const act = target.closest("[data-notify]")?.dataset.notify;
    if (!act) return;
    // A browser asks the person only after a click.
    if (act === "on") await Notification.requestPermission();
    localStorage.setItem(KEY, act);
    show();
  });
  show();
}
