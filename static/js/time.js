// Times come from the server in UTC and are shown in the reader's zone. Nothing here changes what was recorded.
//
//   <time datetime="…Z">                        today: 13:53:27, else 24 Nov 13:53
//   <time datetime="…Z" data-format="full">     24 Nov 2026 13:53:27.480 and the zone
//   <time datetime="…Z" data-relative="left">   41 min, then "ends now"
//   <time datetime="…Z" data-relative="ago">    3 min ago
//   <time datetime="…Z" data-relative="since">  12 min 08 s
//   <svg class="gauge" data-from="…Z" data-until="…Z">   its bar shows what is left

const root = document.documentElement;
const language = root.lang === "en" ? "en-GB" : root.lang; // plain English: day before month, 24 hours
const zone = root.dataset.zone || undefined;
const spans = JSON.parse(root.dataset.spans); // the words of spans, by what they begin with
const SOON_MS = 10 * 60_000;

const parts = (options) => new Intl.DateTimeFormat(language, { hourCycle: "h23", timeZone: zone, ...options });
const clock = parts({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = parts({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const dayOnly = parts({ year: "numeric", month: "numeric", day: "numeric" });
const full = parts({
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short",
});
const ago = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "narrow" });

/** The server's sentence of this name with its numbers set in. */
const say = (name, numbers) => spans[name].replace(/%\((\w)\)s/g, (_all, letter) => numbers[letter]);
const two = (number) => String(number).padStart(2, "0");

/** Words of a span: 9 s, 12 min 08 s, 3 h 42 min, 2 d 4 h. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86400)];
  if (days) return say("days", { d: days, h: hours % 24 });
  if (hours) return say("hours", { h: hours, m: two(minutes % 60) });
  if (minutes) return say("minutes", { m: minutes, s: two(seconds % 60) });
  return say("seconds", { n: seconds });
}

/** What is left, without seconds until the last ten minutes. */
function left(milliseconds) {
  if (milliseconds <= 0) return root.dataset.ended;
  if (milliseconds < SOON_MS) return span(milliseconds);
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 60) return say("minute", { m: minutes });
  return span(milliseconds);
}

function agoWords(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return ago.format(-Math.floor(seconds), "second");
  if (seconds < 3600) return ago.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86400) return ago.format(-Math.floor(seconds / 3600), "hour");
  return ago.format(-Math.floor(seconds / 86400), "day");
}

function words(element, at, now) {
  const distance = at - now;
  switch (element.dataset.relative) {
    case "left": return left(distance);
    case "ago": return agoWords(-distance);
    case "since": return span(-distance);
  }
  if (element.dataset.format === "full") return full.format(at);
  if (element.dataset.format === "clock" || dayOnly.format(at) === dayOnly.format(now)) return clock.format(at);
  return day.format(at);
}

function tell(element, now) {
  const at = new Date(element.dateTime);
  if (Number.isNaN(at.getTime())) return;
  const text = words(element, at, now);
  if (element.textContent !== text) element.textContent = text;
  if (!element.title) element.title = full.format(at);
  if (element.dataset.relative === "left") element.closest(".clock")?.classList.toggle("bad", at - now < SOON_MS);
}

function drain(gauge, now) {
  const from = new Date(gauge.dataset.from);
  const until = new Date(gauge.dataset.until);
  const share = Math.min(1, Math.max(0, (until - now) / (until - from)));
  gauge.firstElementChild.setAttribute("width", `${(share * 100).toFixed(1)}%`);
}

/** Brings every time inside `scope` up to date; `all` also those that do not tick. */
function refresh(scope, all) {
  const now = new Date();
  for (const element of scope.querySelectorAll(all ? "time[datetime]" : "time[data-relative]")) tell(element, now);
  for (const gauge of scope.querySelectorAll("svg.gauge[data-until]")) drain(gauge, now);
}

refresh(document, true);
setInterval(() => refresh(document, false), 1000);
// What changes a time from outside: new elements, another stamp, and a morph that puts the server's own text back. Writing
// here replaces the text node, which is none of the three, so this does not call itself.
const fromOutside = ({ type, addedNodes }) => type !== "childList" || [...addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE);
const watched = { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["datetime"] };
new MutationObserver((changes) => changes.some(fromOutside) && refresh(document, true)).observe(document.body, watched);
