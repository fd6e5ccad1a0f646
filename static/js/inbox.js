// The inbox list while it lives. Rows never move under the pointer or the focus: new ones wait behind a bar meanwhile,
// and decided ones stay, struck, until they can leave unnoticed.

import { letGo } from "./focus.js";
import { refetch, refetchSoon } from "./live.js";

const STRUCK_MS = 5_000;
const PREVIEW_MS = 120;
const COUNT_WITHIN_MS = 3_000;
const LEAST_BATCH = 2;

const waiting = new Map();
const left = new Map(); // rows that a fetched list no longer had, and when: what became of them may still be pushed

const region = () => document.getElementById("rows");
const list = () => region()?.querySelector("[data-append=row]");
const busy = () => list().matches(":hover") || list().contains(document.activeElement);
const tab = () => region().dataset.tab;
const isMine = (row) => row.dataset.holder === region().dataset.me;

/** Whether the reader has put this row off: `data-snoozed` names approval, version and until when; a new version is awake. */
function isSnoozed(row) {
  return region().dataset.snoozed.split(" ").some((entry) => {
    const [id, version, until] = entry.split(":");
    return `row-${id}` === row.id && version === row.dataset.version && Number(until) * 1000 > Date.now();
  });
}

/** Puts a row into its group of a list, before the first one that has more time left; false when there is no such group. */
function putInto(rows, row) {
  const group = rows.querySelector(`tbody[data-group="${CSS.escape(row.dataset.group)}"]`);
  if (!group) return false;
  const after = [...group.querySelectorAll("[data-row]")].find((other) => other.dataset.order > row.dataset.order);
  group.insertBefore(row, after ?? null);
  return true;
}

function insert(row) {
  if (!document.getElementById(row.id) && putInto(list(), row)) htmx.process(row);
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
    // The rail counts all that waits, which is what the team's list shows, and neither a search nor another tab.
    if (tab() === "team" && !("filtered" in region().dataset)) tell(group.dataset.group, number.textContent);
  }
}

/** Shows a count in the rail. */
function tell(view, count) {
  for (const number of document.querySelectorAll(`[data-count-of="${CSS.escape(view)}"]`)) number.textContent = count;
}

function sweep() {
  if (!list()) return;
  const now = Date.now();
  for (const row of list().querySelectorAll("[data-row]")) {
    if (!("gone" in row.dataset) && (tab() !== "mine" || isMine(row))) {
      delete row.goneAt;
      continue;
    }
    row.goneAt ??= now;
    if (now - row.goneAt > STRUCK_MS && !busy() && !("done" in region().dataset)) row.remove();
  }
  for (const [id, at] of left) if (now - at > STRUCK_MS) left.delete(id);
  if (waiting.size && !busy()) showWaiting();
}

/** Puts the rows that were struck a moment ago into a list that was fetched, which no longer has them. */
function keepStruck(fetched) {
  const now = Date.now();
  for (const row of list().querySelectorAll("[data-row]")) {
    if (fetched.querySelector(`#${CSS.escape(row.id)}`)) continue;
    if (!("gone" in row.dataset)) left.set(row.id, now);
    else if (now - (row.goneAt ?? now) <= STRUCK_MS) putInto(fetched, row.cloneNode(true));
  }
}

document.addEventListener("desk:new", (event) => {
  const { frame, incoming } = event.detail;
  if (frame.kind !== "row") return;
  event.preventDefault();
  if ("done" in region().dataset) return;
  if ("gone" in incoming.dataset) {
    if (left.delete(incoming.id)) insert(incoming); // a list without it came first
    return;
  }
  if ("filtered" in region().dataset || tab() === "snoozed") return refetchSoon(region(), COUNT_WITHIN_MS);
  if (tab() === "mine" ? !isMine(incoming) : isSnoozed(incoming)) return;
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
  refetchSoon(document.getElementById("tabs"), COUNT_WITHIN_MS);
});

// A list that was fetched holds what is new, too: under the pointer or the focus that waits as well.
document.addEventListener("desk:fetched", ({ detail }) => {
  if (detail.incoming.id !== "rows" || !list()) return;
  waiting.clear();
  if (!("done" in region().dataset)) keepStruck(detail.incoming);
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

document.addEventListener("click", ({ target, detail }) => {
  if (!target.closest("[data-fresh]")) return;
  const first = [...waiting.keys()][0];
  showWaiting();
  if (detail) letGo(); // by pointer: a focus in the list would keep it from moving
  else document.getElementById(first)?.querySelector("a").focus();
});

let previewTimer = 0;
let standsOn = "";
let stoodAt = 0;

/** Marks the row that the reader stands on, also after the list was fetched again. */
function showWhere() {
  const rows = [...(list()?.querySelectorAll("[data-row]") ?? [])];
  for (const row of rows) row.classList.toggle("current", row.id === standsOn);
  const at = rows.findIndex((row) => row.id === standsOn);
  if (at >= 0) stoodAt = at;
  else if (standsOn && rows.length) preview(rows[Math.min(stoodAt, rows.length - 1)]); // it has left: the next one takes its place
}

/** Shows the card of the row that the reader stands on, where there is room for it. */
function preview(row) {
  const place = document.getElementById("preview");
  const link = row?.querySelector("[data-preview]");
  if (!link || !place?.checkVisibility()) return;
  standsOn = row.id;
  showWhere();
  clearTimeout(previewTimer);
  const card = document.getElementById("preview-card");
  card.setAttribute("aria-busy", "true");
  previewTimer = setTimeout(async () => {
    await htmx.ajax("GET", link.dataset.preview, { target: "#preview-card", swap: "innerHTML" });
    if (standsOn !== row.id) return; // the reader has gone on
    card.setAttribute("aria-busy", "false");
    const shown = card.querySelector("#approval")?.dataset.watch;
    if (shown !== `approval:${row.id.replace("row-", "")}`) return failed(card, row);
    const open = document.getElementById("preview-open");
    open.href = link.href;
    open.hidden = false;
  }, PREVIEW_MS);
}

/** Says in the place of the card that it did not come, with a way to try again: another one must not stand there. */
function failed(card, row) {
  card.replaceChildren(document.getElementById("preview-failed").content.cloneNode(true));
  document.getElementById("preview-open").hidden = true;
  card.querySelector("[data-again]").addEventListener("click", () => preview(row));
}

document.addEventListener("focusin", ({ target }) => {
  if (target.matches?.("[data-preview]")) preview(target.closest("[data-row]"));
});

document.addEventListener("htmx:after:swap", () => {
  showWhere();
  tell("all", document.getElementById("inbox-count").textContent);
  countPicked();
  const told = document.querySelector("#told[data-refresh]");
  if (!told) return;
  told.removeAttribute("data-refresh"); // an act of the reader's own: the list follows at once
  refetch(region());
  refetch(document.getElementById("tabs"));
});

let pickedLast = null;

const picks = () => [...(list()?.querySelectorAll("[data-pick]") ?? [])];

/** Shows how many rows are selected, and the way to look at them together. */
function countPicked() {
  const form = document.querySelector("[data-batch]");
  const count = picks().filter((pick) => pick.checked).length;
  form.hidden = count < LEAST_BATCH;
  form.querySelector("[data-batch-count]").textContent = count;
}

/** Selects the row that the reader stands on, or all rows from the last one selected to it. */
document.addEventListener("desk:act", (event) => {
  const { act } = event.detail;
  const pick = list()?.querySelector("[data-row].current [data-pick]");
  if (!pick || !["select", "select_range"].includes(act)) return;
  event.preventDefault();
  const all = picks();
  const [from, to] = [all.indexOf(pickedLast), all.indexOf(pick)].sort((one, other) => one - other);
  if (act === "select_range" && from >= 0) for (const each of all.slice(from, to + 1)) each.checked = true;
  else pick.checked = !pick.checked;
  pickedLast = pick;
  countPicked();
});

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-pick]")) return;
  pickedLast = target;
  countPicked();
});

if (list()) {
  countPicked();
  setInterval(sweep, 1000);
  preview(list().querySelector("[data-row]"));
}
