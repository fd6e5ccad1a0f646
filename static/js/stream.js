// Tokens of a model call while it writes. They are shown and forgotten: the recorded step replaces them.
//
//   <p data-stream="STEP-ID">   gets the text so far

const steps = new Map();

/** Adds a token frame `{step, seq, text}`; a repeated one is ignored, a gap is shown as an ellipsis. */
function hear({ step, seq, text }) {
  const known = steps.get(step) ?? { seq: -1, text: "", shown: false };
  if (seq <= known.seq) return;
  const gap = seq > known.seq + 1 ? " … " : "";
  steps.set(step, { seq, text: known.text + gap + text, shown: known.shown });
  paint(step);
}

/** Shows what was heard of a step; false where the page has no place for it. */
function paint(step) {
  const element = document.querySelector(`[data-stream="${CSS.escape(step)}"]`);
  if (!element) return false;
  const known = steps.get(step);
  known.shown = true;
  element.hidden = false;
  element.textContent = known.text;
  return true;
}

document.addEventListener("desk:token", ({ detail }) => hear(detail));
// A step whose text was on the page and is not any more has been recorded: its words are let go, for a page may stay open for days.
document.addEventListener("htmx:after:swap", () => {
  for (const [step, { shown }] of steps) if (!paint(step) && shown) steps.delete(step);
});
