// The inbox list while it lives. Rows never move under the pointer or the focus: new ones wait behind a bar meanwhile,
// and decided ones stay, struck, until they can leave unnoticed.

import { refetchSoon } from "./live.js";

const STRUCK_MS = 5_000;
const PREVIEW_MS = 120;
const COUNT_WITHIN_MS = 3_000;

const waiting = new Map();

const region = () => document.getElementById("rows");
const list = () => region()?.querySelector("[data-append=row]");
const busy = () => list().matches(":hover") || list().contains(document.activeElement);

/** Puts a row into its group, before the first one that has more time left. */
function insert(row) {
  if (document.getElementById(row.id)) return;
  const group = list().querySelector(`tbody[data-group="${CSS.escape(row.dataset.group)}"]`);
  if (!group) return;
  const order = (element) => element.dataset.order || "9999";
  const after = [...group.querySelectorAll("[data-row]")].find((other) => order(other) > order(row));
  group.insertBefore(row, after ?? null);
  htmx.process(row);
}

function showWaiting() {
  for (const row of waiting.values()) insert(row);
  waiting.clear();
  tidy();
}

/** Brings the bar and the numbers up to date. */
function tidy() {
  const bar = region().querySelector("[data-fresh]");
  bar.hidden = waiting.size === 0;
  bar.querySelector("[data-fresh-count]").textContent = waiting.size;
  for (const number of region().querySelectorAll("[data-group-count]")) {
    const group = number.closest("tbody");
    number.textContent = group.querySelectorAll("[data-row]:not([data-gone])").length;
    if (!("filtered" in region().dataset)) tell(group.dataset.group, number.textContent);
  }
}

/** Shows a count in the rail. */
function tell(view, count) {
  for (const number of document.querySelectorAll(`[data-count-of="${CSS.escape(view)}"]`)) number.textContent = count;
}

function sweep() {
  if (!list()) return;
  const now = Date.now();
  for (const row of list().querySelectorAll("[data-gone]")) {
    row.goneAt ??= now;
    if (now - row.goneAt > STRUCK_MS && !busy() && !("done" in region().dataset)) row.remove();
  }
  if (waiting.size && !busy()) showWaiting();
}

document.addEventListener("desk:new", (event) => {
  const { frame, incoming } = event.detail;
  if (frame.kind !== "row") return;
  event.preventDefault();
  if ("gone" in incoming.dataset || "done" in region().dataset) return;
  if ("filtered" in region().dataset) return refetchSoon(region(), COUNT_WITHIN_MS);
  waiting.set(incoming.id, incoming);
  if (busy()) tidy();
  else showWaiting();
});

document.addEventListener("desk:shown", ({ detail }) => {
  if (detail.kind !== "row" || !region()) return;
  const known = waiting.get(`row-${detail.id}`);
  if (known && Number(known.dataset.v) < detail.version) waiting.delete(known.id);
  tidy();
  refetchSoon(document.getElementById("inbox-count"), COUNT_WITHIN_MS);
});

// A list that was fetched holds what is new, too: under the pointer or the focus that waits as well.
document.addEventListener("desk:fetched", ({ detail }) => {
  if (detail.incoming.id !== "rows" || !list()) return;
  waiting.clear();
  if (!busy() || "filtered" in region().dataset || "done" in region().dataset) return;
  for (const row of detail.incoming.querySelectorAll("[data-row]:not([data-gone])")) {
    if (document.getElementById(row.id)) continue;
    row.remove();
    waiting.set(row.id, row);
  }
});

document.addEventListener("desk:placed", ({ detail }) => {
  if (detail.id === "rows") tidy();
});

document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-fresh]")) showWaiting();
});

let previewTimer = 0;
let standsOn = "";

/** Marks the row that the reader stands on, also after the list was fetched again. */
function showWhere() {
  for (const row of list()?.querySelectorAll("[data-row]") ?? []) row.classList.toggle("current", row.id === standsOn);
}

/** Shows the card of the row that the reader stands on, where there is room for it. */
function preview(row) {
  const place = document.getElementById("preview");
  const link = row?.querySelector("[data-preview]");
  if (!link || !place?.checkVisibility()) return;
  standsOn = row.id;
  showWhere();
  clearTimeout(previewTimer);
  previewTimer = setTimeout(async () => {
    await htmx.ajax("GET", link.dataset.preview, { target: "#preview-card", swap: "innerHTML" });
    const open = document.getElementById("preview-open");
    open.href = link.href;
    open.hidden = false;
  }, PREVIEW_MS);
}

document.addEventListener("focusin", ({ target }) => {
  if (target.matches?.("[data-preview]")) preview(target.closest("[data-row]"));
});

document.addEventListener("htmx:after:swap", () => {
  showWhere();
  tell("all", document.getElementById("inbox-count").textContent);
});

if (list()) {
  setInterval(sweep, 1000);
  preview(list().querySelector("[data-row]"));
}
