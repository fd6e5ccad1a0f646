(root) => {
  // What stands where inside an element: one line for each thing that a person would point at, with its words and its place in
  // pixels from the element's own corner.
  const THINGS = "h1, h2, h3, .btn, .risk, .state, .env, .tok, .note, .who, .clock, .said, .long, .json, .strip > div, input:not([type=hidden]), select, textarea, summary, .tbl, .args tr, .queue tr, .story > li, .empty, .skel";
  const origin = root.getBoundingClientRect();
  return [...root.querySelectorAll(THINGS)].filter((one) => one.checkVisibility()).map((one) => {
    const box = one.getBoundingClientRect();
    const isTicked = one.matches("[type=checkbox], [type=radio]"); // their values are ids
    const words = ((isTicked ? one.ariaLabel : one.value) || one.textContent).replace(/\s+/g, " ").trim().slice(0, 24).trim();
    const kind = [one.localName, ...[...one.classList].slice(0, 2)].join(".");
    const { color, backgroundColor, borderTopColor } = getComputedStyle(one);
    const place = [box.x - origin.x, box.y - origin.y, box.width, box.height].map(Math.round);
    return { kind, words, place, colours: [color, backgroundColor, borderTopColor].join(" ") };
  });
}
