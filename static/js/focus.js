// Where the focus stays when what had it goes, and the one place through which screen readers are told what happened.
//
// A swap, an answer or a push may take away what the reader stands on. The focus then goes to its successor: the same id, the same
// act, the same words, or the first control of the nearest region that is still there. A reader who clicked beside all controls has let go of it.

const announcer = document.getElementById("announce");
const CONTROLS = "a[href], button, summary, input:not([type=hidden]), textarea, select, [tabindex]";

let stood = null;

/** Says a text to screen readers, politely; `now`: at once, before all else. */
export function say(text, { now = false } = {}) {
  announcer.setAttribute("aria-live", now ? "assertive" : "polite");
  announcer.textContent = text;
}

const usable = (element) => element?.isConnected && element.checkVisibility() && !element.matches(":disabled");
const controlsIn = (place) => (place ? [...place.querySelectorAll(CONTROLS)] : []);

function note({ target }) {
  const around = [];
  for (let place = target.parentElement; place; place = place.parentElement) if (place.id) around.push(place.id);
  const menu = target.closest("details")?.querySelector(":scope > summary");
  stood = { element: target, id: target.id, act: target.dataset.act ?? menu?.dataset.act, words: target.textContent, around };
}

/** Gives the focus to the successor of what had it and is gone; nothing while something has it. */
export function keepFocus() {
  if (!stood || document.activeElement !== document.body) return;
  const { element, id, act, words, around } = stood;
  const places = around.map((each) => document.getElementById(each));
  const same = act ? [...document.querySelectorAll(`[data-act="${CSS.escape(act)}"]`)] : [];
  const alike = words ? controlsIn(places.find(usable)).filter((each) => each.textContent === words) : [];
  const place = [element, document.getElementById(id), ...same, ...alike].find(usable) ?? places.flatMap(controlsIn).find(usable);
  place?.focus({ preventScroll: true });
}

/** What a page or an answer wants the focus for: the first wrong field, or what is marked for it. */
export function takeFocus(arrived) {
  (document.querySelector("[aria-invalid=true]") ?? arrived)?.focus();
  arrived?.removeAttribute("data-focus");
}

/** The reader has let go of what had the focus: nothing follows it. */
export function letGo() {
  stood = null;
}

/** Says what an act of the reader's own has done, once. */
function tell() {
  const told = document.querySelector("#told[data-say]");
  if (!told) return;
  say(told.dataset.say);
  told.removeAttribute("data-say");
}

document.addEventListener("htmx:after:swap", tell);
document.addEventListener("focusin", note);
document.addEventListener("pointerdown", letGo, true);
document.addEventListener("htmx:finally:request", keepFocus); // a button that slept during a post that failed
