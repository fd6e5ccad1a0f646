// The page's one WebSocket. The server pushes fragments; what they say is a hint and an older version never replaces a newer one.
// Whenever something may have been missed (connect, reconnect, focus, a gap) the live regions are fetched again over HTTP.
//
// In the page:  <body data-live="/ws/live/">            where to connect; without it nothing happens
//               data-watch="approval:ID"                 what this element wants to hear of
//               data-refetch="URL"                       the element's own fragment over HTTP
//               data-v="3"                               the version shown
//               data-say="Approved by Sam Ashby"         announced to screen readers when a push changes it
//               data-append="row"                        where pushed elements of a kind go that are new here, sorted by data-order
//               data-into="story" data-order="0012"      on a pushed element: the list it belongs to, and its place there
//               data-merge                               a list that only grows: what is fetched is taken in line by line
//               data-parts                               around fetched parts of a table, which HTML knows inside a table only
//               data-keep-typing                         a form: replaced only while nobody has begun to fill it in
//               data-typed                               on it: it came back with what somebody typed, which counts as begun
//
// Others listen:  desk:new    on the list, cancelable: {frame, incoming} is about to be added
//                 desk:shown  on the document: {frame}, after what came with it was put in place
//                 desk:fetched  on a region: {incoming} is about to take its place; desk:placed on the document: {id}, after it
//                 desk:token  on the document: {run, step, seq, text}

import { say } from "./focus.js";

const SILENCE_MS = 40_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const OVERTAKEN_MS = 400;
const TOGETHER_MS = 5_000; // the panel and the card bring the same news, in either order
const COUNT_WITHIN_MS = 3_000; // a counter may lag so far: a thousand pages do not ask in one moment
const ANSWER_MS = 3_000; // after that the desk does not hear its own events: what it finds itself comes, what was missed does not
const FINAL_CODES = new Set([4401, 4403]);
const TOO_MANY = 4429;

const wire = document.getElementById("wire");
const banner = document.getElementById("offline");
const crowded = document.getElementById("crowded");

let socket = null;
let attempts = 0;
let heardAt = 0;
let ended = false;
let watched = "";
let retryTimer = 0;
let unanswered = 0;
let askedUntil = 0; // when the form for a decision gave way to what another decided

/** Shows the state of the connection: connecting, live, offline or ended. */
function show(state) {
  if (wire.dataset.state === state) return;
  wire.dataset.state = state;
  wire.querySelector("[data-word]").textContent = wire.dataset[state];
  if (state === "offline" && banner.hidden) {
    banner.querySelector("time").dateTime = new Date().toISOString();
    banner.hidden = false;
  }
  if (state === "ended") document.getElementById("signed-out").hidden = false;
  if (state !== "offline") banner.hidden = true;
}

function connect() {
  clearTimeout(retryTimer);
  if (ended || (socket && socket.readyState <= WebSocket.OPEN)) return;
  const address = new URL(document.body.dataset.live, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.addEventListener("open", opened);
  socket.addEventListener("message", ({ data }) => heard(JSON.parse(data)));
  socket.addEventListener("close", closed);
  heardAt = Date.now();
}

function opened() {
  heardAt = Date.now();
  watched = "";
  watch(); // "Live" is shown by the first heartbeat: an open socket alone does not say that events reach it
  clearTimeout(unanswered);
  unanswered = setTimeout(refetchAll, ANSWER_MS);
}

function closed({ code, target }) {
  if (target !== socket) return;
  socket = null;
  clearTimeout(unanswered);
  show("offline");
  // "Nobody is signed in here" may have been said in the moment in which a password was hashed anew: the page asks once more, and
  // gives up where that is refused, too. Who is signed in connects again.
  if (FINAL_CODES.has(code)) refetch(document.getElementById("inbox-count"));
  crowded.hidden = code !== TOO_MANY;
  attempts += 1;
  const longest = code === TOO_MANY ? LONGEST_DELAY_MS : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempts);
  retryTimer = setTimeout(connect, longest * (0.5 + Math.random() / 2));
}

/** Tells the server what the page shows; again only when that has changed. */
function watch() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const names = new Set([...document.querySelectorAll("[data-watch]")].map((element) => element.dataset.watch));
  const wanted = JSON.stringify({ watch: [...names].sort().map((name) => splitOnce(name)) });
  if (wanted === watched) return;
  watched = wanted;
  socket.send(wanted);
}

function splitOnce(name) {
  const at = name.indexOf(":");
  return [name.slice(0, at), name.slice(at + 1)];
}

/** Fetches one region again soon; many wishes within the time become one request. */
export function refetchSoon(region, within) {
  if (!region || soon.has(region)) return;
  soon.add(region);
  setTimeout(() => {
    soon.delete(region);
    if (region.isConnected) refetch(region);
  }, within / 2 + (Math.random() * within) / 2);
}

const soon = new Set();

function heard(frame) {
  heardAt = Date.now();
  if (frame.kind === "hb" || frame.kind === "resync") {
    show("live");
    attempts = 0; // not before: a socket is opened, too, to say why it is closed at once
    if (!frame.watching && frame.kind === "hb") return;
    clearTimeout(unanswered);
    return refetchAll(); // from now on nothing is missed, so fetch what was
  }
  if (frame.kind === "token") {
    document.dispatchEvent(new CustomEvent("desk:token", { detail: frame }));
    return;
  }
  const shown = frame.html ? placeAll(frame) : false;
  tellTheOthers(frame, shown);
  document.dispatchEvent(new CustomEvent("desk:shown", { detail: frame }));
}

/** Puts each root element of a pushed fragment in place of its namesake, or into its list; true when it is on the page. */
function placeAll(frame) {
  const template = document.createElement("template");
  template.innerHTML = frame.html;
  let found = false;
  for (const incoming of [...template.content.children]) {
    const current = document.getElementById(incoming.id);
    if (!current) {
      found = insert(frame, incoming) || found;
      continue;
    }
    found = true;
    if (version(incoming) > version(current)) renew(current, incoming);
  }
  return found;
}

/** Puts an element that is new on this page into its list, unless somebody else sees to it; false when it has no place here. */
function insert(frame, incoming) {
  const list = document.getElementById(incoming.dataset.into ?? "") ?? document.querySelector(`[data-append="${frame.kind}"]`);
  if (!list) return false;
  const news = new CustomEvent("desk:new", { bubbles: true, cancelable: true, detail: { frame, incoming } });
  if (list.dispatchEvent(news)) list.insertBefore(incoming, follower(list, incoming) ?? null); // at once: its next version may follow
  return true;
}

/** A line whose place in its list has changed. */
function move(current, incoming) {
  const list = current.parentElement;
  current.remove();
  list.insertBefore(incoming, follower(list, incoming) ?? null);
}

function follower(list, line) {
  return [...list.children].find((other) => (other.dataset.order ?? "") > line.dataset.order);
}

/** Takes a fetched list in line by line: what was pushed while it was on its way is newer, and stays. */
function merge(list, fetched) {
  for (const line of [...fetched.children]) {
    const current = document.getElementById(line.id);
    if (!current) list.insertBefore(line, follower(list, line) ?? null);
    else if (version(line) > version(current)) renew(current, line);
  }
  if (fetched.dataset.v) list.dataset.v = fetched.dataset.v;
}

function renew(current, line) {
  if (line.dataset.into && line.dataset.order !== current.dataset.order) move(current, line);
  else place(current, line);
}

/** Regions that hear of the same thing but only come over HTTP: the decision form, a list, a counter. */
function tellTheOthers(frame, shown) {
  const name = frame.kind === "row" ? "inbox:mine" : frame.run ? `run:${frame.run}` : `${frame.kind}:${frame.id}`;
  for (const region of document.querySelectorAll(`[data-watch="${CSS.escape(name)}"][data-refetch]`)) {
    const isPart = frame.kind === "row" || frame.run;
    if (frame.kind === "row" && !shown) refetchSoon(region, COUNT_WITHIN_MS);
    else if (isPart ? !shown : version(region) < frame.version) refetch(region);
    else if (underway.has(region.dataset.refetch)) refetchSoon(region, OVERTAKEN_MS); // what is on its way may not have it yet
  }
}

function version(element) {
  return Number(element.dataset.v ?? 0);
}

/** Morphs `current` into `incoming`, keeping focus, scroll positions and what the reader has folded open. */
function place(current, incoming) {
  for (const details of current.querySelectorAll("details[id]")) {
    incoming.querySelector(`#${CSS.escape(details.id)}`)?.toggleAttribute("open", details.open);
  }
  const saidBefore = current.dataset.say;
  const swapped = htmx.swap({ text: incoming.outerHTML, target: current, swap: "outerMorph", sourceElement: document.body });
  if (incoming.dataset.say && incoming.dataset.say !== saidBefore) say(incoming.dataset.say, { now: isAsked() || Date.now() - askedUntil < TOGETHER_MS });
  return swapped;
}

/** Whether the reader is asked for a decision and has sent none: what is decided now was decided by another. */
function isAsked() {
  return [...document.querySelectorAll("#panel .acts .btn.solid")].some((button) => !button.disabled);
}

function refetchAll() {
  for (const region of document.querySelectorAll("[data-refetch]")) refetch(region);
}

const underway = new Map();

/** Fetches a region's own fragment. One request at a time for each; a wish that comes meanwhile is served by one more. */
export async function refetch(region) {
  const url = region?.dataset.refetch;
  if (!url) return;
  if (underway.has(url)) {
    underway.set(url, true);
    return;
  }
  underway.set(url, false);
  try {
    await refetchOnce(region, url);
  } finally {
    const again = underway.get(url);
    underway.delete(url);
    if (again && region.isConnected) refetch(region);
  }
}

async function refetchOnce(region, url) {
  let answer;
  try {
    answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error instanceof TypeError) return show("offline");
    throw error;
  }
  if (answer.redirected || answer.status === 401) return signedOut();
  if (!answer.ok || answer.status === 204) return;
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  for (const incoming of [...template.content.children].flatMap(parts)) {
    const current = document.getElementById(incoming.id);
    if (!current || version(incoming) < version(current)) continue;
    if (current.matches("[data-merge]")) merge(current, incoming);
    else if (current.matches("[data-keep-typing]")) offer(current, incoming);
    else {
      current.dispatchEvent(new CustomEvent("desk:fetched", { bubbles: true, detail: { incoming } }));
      await place(current, incoming);
      document.dispatchEvent(new CustomEvent("desk:placed", { detail: { id: incoming.id } }));
    }
  }
}

function parts(root) {
  return root.matches("[data-parts]") ? [...root.children] : [root];
}

/** A form is replaced only while nobody has begun to fill it in; otherwise it says that something changed. */
function offer(current, incoming) {
  if (version(incoming) === version(current)) return;
  if (touched(current)) current.querySelector("[data-changed-note]")?.removeAttribute("hidden");
  else {
    if (isAsked()) askedUntil = Date.now();
    place(current, incoming);
  }
}

function touched(form) {
  if ("typed" in form.dataset) return true; // a refused post: what was typed stands in it as if it were the form's own
  return [...form.querySelectorAll("input, textarea, select")].some((control) => {
    if (control.type === "hidden") return false;
    if (control.type === "checkbox" || control.type === "radio") return control.checked !== control.defaultChecked;
    if (control.tagName === "SELECT") return picked(control) !== chosenAtFirst(control);
    return control.value !== control.defaultValue;
  });
}

const picked = (select) => [...select.selectedOptions].map((option) => option.value).join("\n");

function chosenAtFirst(select) {
  const marked = [...select.options].filter((option) => option.defaultSelected);
  if (!marked.length && !select.multiple && select.options.length) marked.push(select.options[0]);
  return marked.map((option) => option.value).join("\n");
}

/** Signed out in the middle of something: what was typed stays where it is. */
function signedOut() {
  ended = true;
  show("ended");
}

/** The number of waiting approvals stands in the tab's title too. */
function countInTitle() {
  const count = document.getElementById("inbox-count")?.textContent.trim();
  const plain = document.title.replace(/^\([^)]*\) /, "");
  document.title = count && count !== "0" ? `(${count}) ${plain}` : plain;
}

function lookAgain() {
  if (document.visibilityState !== "visible" || ended) return;
  if (socket?.readyState === WebSocket.OPEN) refetchAll();
  else connect();
}

if (document.body.dataset.live) {
  connect();
  setInterval(() => {
    if (socket?.readyState === WebSocket.OPEN && Date.now() - heardAt > SILENCE_MS) socket.close(4000, "silence");
  }, 5_000);
  document.addEventListener("visibilitychange", lookAgain);
  addEventListener("online", connect);
  addEventListener("pageshow", ({ persisted }) => persisted && lookAgain());
  document.addEventListener("htmx:after:swap", () => {
    watch();
    countInTitle();
  });
  document.addEventListener("htmx:after:request", ({ detail }) => {
    if (detail.ctx?.response?.raw?.status === 401 || detail.ctx?.response?.status === 401) signedOut();
  });
}
