// The live difference in a modify form: what was asked beside what stands in the fields now. The server computes it again.
//
//   <form data-diff>                                       holds
//     <div data-field data-label="Amount" data-asked="…">  one row each; its control is compared with data-asked
//     <select data-branches="to">                          which form the value has: rows with data-branch="to" and
//                                                          another data-index are hidden
//     <span data-unit="id_args-currency">                  what stands in that field, beside an amount
//     <ul data-changes data-none="No changes yet">         filled with one line for each changed argument
//     <span data-changes-count data-none data-one data-many="Approve with {n} changes">

const LONGEST_WORD_DIFF = 600;

function valueOf(field) {
  const controls = [...field.querySelectorAll("input, select, textarea")].filter((control) => control.type !== "hidden");
  const boxes = controls.filter((control) => control.type === "checkbox" || control.type === "radio");
  if (boxes.length === 1 && boxes[0].type === "checkbox") return boxes[0].checked ? "true" : "false";
  if (boxes.length) return boxes.filter((box) => box.checked).map((box) => box.value).join("\n");
  return controls.map((control) => control.value).join("\n");
}

const even = (text) => text.replace(/\r\n/g, "\n").trim();

function marked(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

/** Nodes that show how `before` became `after`, word by word; whole values where they are long. */
export function difference(before, after) {
  const [a, b] = [before.split(/(\s+)/), after.split(/(\s+)/)];
  if (a.length < 4 || a.length + b.length > LONGEST_WORD_DIFF) return [marked("del", before), " ", marked("ins", after)];
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const nodes = [];
  const add = (tag, text) => {
    const last = nodes.at(-1);
    if (last?.tag === tag) last.text += text;
    else nodes.push({ tag, text });
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) [add("", a[i]), i++, j++];
    else if (j < b.length && (i === a.length || longest[i][j + 1] > longest[i + 1][j])) add("ins", b[j++]);
    else add("del", a[i++]);
  }
  return nodes.map(({ tag, text }) => (tag ? marked(tag, text) : text));
}

function line(field, now) {
  const item = document.createElement("li");
  const words = "words" in field.dataset; // its choices are numbers that only their words explain
  const before = words ? field.dataset.words : field.dataset.asked;
  const after = words ? field.querySelector("select").selectedOptions[0].text : now;
  item.append(marked("b", field.dataset.label), " ", ...difference(even(before), even(after)));
  return item;
}

/** Of a value that may have several forms, the fields of the chosen one. */
function showBranches(form) {
  for (const chooser of form.querySelectorAll("select[data-branches]")) {
    for (const field of form.querySelectorAll(`[data-branch="${CSS.escape(chooser.dataset.branches)}"]`)) {
      field.hidden = field.dataset.index !== chooser.value;
    }
  }
}

function compare(form) {
  const lines = [];
  for (const unit of form.querySelectorAll("[data-unit]")) unit.textContent = document.getElementById(unit.dataset.unit).value;
  for (const field of form.querySelectorAll("[data-field]")) {
    const now = valueOf(field);
    const changed = even(now) !== even(field.dataset.asked);
    field.toggleAttribute("data-changed", changed);
    if (changed && !field.hidden) lines.push(line(field, now));
  }
  const list = document.querySelector(`[data-changes="${CSS.escape(form.id)}"]`);
  list?.replaceChildren(...(lines.length ? lines : [marked("li", list.dataset.none)]));
  for (const label of document.querySelectorAll(`[data-changes-count="${CSS.escape(form.id)}"]`)) {
    const { none, one, many } = label.dataset;
    label.textContent = (lines.length === 0 ? none : lines.length === 1 ? one : many).replace("{n}", lines.length);
  }
}

function look(form) {
  showBranches(form);
  if (form.matches("[data-diff]")) compare(form);
}

const lookAtAll = () => document.querySelectorAll("#panel form").forEach(look);

document.addEventListener("input", ({ target }) => {
  const form = target.form ?? target.closest("form");
  if (form?.closest("#panel")) look(form);
});
document.addEventListener("htmx:after:swap", lookAtAll);
lookAtAll();
