// Tokens of a model call while it writes. They are shown and forgotten: the recorded step replaces them.
//
//   <p data-stream="STEP-ID">   gets the text so far

const steps = new Map();

/** Adds a token frame `{step, seq, text}`; a repeated one is ignored, a gap is shown as an ellipsis. */
function hear({ step, seq, text }) {
  const known = steps.get(step) ?? { seq: -1, text: "" };
  if (seq <= known.seq) return;
  const gap = seq > known.seq + 1 ? " … " : "";
  steps.set(step, { seq, text: known.text + gap + text });
  paint(step);
}

function paint(step) {
  const element = document.querySelector(`[data-stream="${CSS.escape(step)}"]`);
  if (!element) return;
  element.hidden = false;
  element.textContent = steps.get(step).text;
}

document.addEventListener("desk:token", ({ detail }) => hear(detail));
document.addEventListener("htmx:after:swap", () => [...steps.keys()].forEach(paint));
