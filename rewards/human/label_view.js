// What is read: texts of agents, steps, pairs. Text enters the document as text nodes only; no HTML is made from strings.

const HEAD_LINES = 18, TAIL_LINES = 12, HEAD_CHARS = 3500, TAIL_CHARS = 2500, ROWS_SHOWN = 5, LONG_TASK = 1000;
const ODD = /⟨(?:U\+[0-9A-F]{4,6}|[A-Z]{2,3}|DC[1-4])⟩|▇▇▇/gu; // as visible.py writes them

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child));
  return element;
}

export const kbd = (key) => h("kbd", {}, key);

// ---- text of agents ----

function inert(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ODD)) {
    parts.push(text.slice(end, match.index), h("span", { class: "odd" }, match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

function lineClass(line) {
  if (/^(diff --git |index |\+\+\+ |--- )/.test(line)) return "line file";
  if (line.startsWith("@@")) return "line hunk";
  if (line.startsWith("+")) return "line add";
  return line.startsWith("-") ? "line cut" : "line";
}

function rendered(text, form) {
  if (form !== "diff") return inert(text);
  return text.replace(/\n$/, "").split("\n").map((line) => h("span", { class: lineClass(line) }, inert(line), "\n"));
}

function folded(text) {
  const lines = text.split("\n");
  if (lines.length <= HEAD_LINES + TAIL_LINES + 10 && text.length <= HEAD_CHARS + TAIL_CHARS + 2000) return null;
  const head = lines.slice(0, HEAD_LINES).join("\n").slice(0, HEAD_CHARS);
  const tail = lines.slice(Math.max(HEAD_LINES, lines.length - TAIL_LINES)).join("\n").slice(-TAIL_CHARS);
  const hidden = text.slice(head.length, text.length - tail.length);
  const count = hidden.split("\n").length - 2;
  const amount = count > 0 ? `${count} more line${count > 1 ? "s" : ""}` : `${hidden.length} more characters`;
  return { head, tail, amount };
}

function code({ text, form }, label) {
  const block = h("pre", { class: "code", "aria-label": label, tabIndex: -1 });
  const all = () => block.replaceChildren(...rendered(text, form));
  const cut = folded(text);
  if (!text) block.append(h("span", { class: "empty" }, "(empty)"));
  else if (!cut) all();
  else {
    const unfold = h("button", { type: "button", class: "fold", onclick: () => { all(); block.focus(); } }, `Show ${cut.amount}`);
    block.append(...rendered(cut.head, form), unfold, ...rendered(cut.tail, form));
  }
  return block;
}

// ---- steps ----

function stateOf(step) {
  const exit = step.exit_code === null ? "" : `exit ${step.exit_code}`;
  if (step.ok) return h("span", { class: "state" }, exit || "done");
  const what = inert((step.error ?? "failed").replaceAll("_", " "));
  return h("span", { class: "state bad" }, what, exit && `, ${exit}`);
}

function argumentsOf(step) {
  const values = step.parts.filter((part) => part.form === "value");
  const blocks = step.parts.filter((part) => part.form !== "value");
  return [
    values.length ? h("section", {}, h("h3", {}, "Arguments"), h("dl", { class: "values" },
      values.map(({ label, text }) => h("div", {}, h("dt", {}, inert(label)), h("dd", {}, inert(text)))))) : null,
    ...blocks.map((part) => h("section", {}, h("h3", {}, inert(part.label)), code(part, part.label))),
  ];
}

function partsOf(step) {
  return h("div", { class: "parts" },
    step.thought && h("section", {}, h("h3", {}, "Thought"), h("p", { class: "prose thought" }, inert(step.thought))),
    argumentsOf(step),
    h("section", {}, h("h3", {}, "Observation"), code(step.observation, "Observation")));
}

const toolOf = (step) => h("span", { class: "tag" }, inert(step.tool ?? "not understood"));

function row(step) {
  const told = step.parts.map((part) => part.text).filter((text) => text !== "true" && text !== "false");
  const gist = (told.join(" · ") || step.thought || "").slice(0, 200).replaceAll("\n", " ");
  const details = h("details", { class: "row" }, h("summary", {}, h("span", { class: "number" }, `${step.number}`),
    toolOf(step), h("span", { class: "gist" }, inert(gist)), stateOf(step)));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(h("div", { class: "body" }, partsOf(step)));
  });
  return h("li", {}, details);
}

function rows(steps, shown) {
  const list = h("ol", { class: "rows" }, steps.slice(-shown).map(row));
  const hidden = steps.slice(0, -shown);
  if (!hidden.length) return [list];
  const more = h("button", { type: "button", class: "more" }, `Show ${hidden.length} earlier step${hidden.length > 1 ? "s" : ""}`);
  more.addEventListener("click", () => { list.prepend(...hidden.map(row)); more.remove(); list.querySelector("summary").focus(); });
  return [more, list];
}

function taskSheet(statement) {
  const long = statement.length > LONG_TASK || statement.split("\n").length > LONG_TASK / 80;
  const text = h("p", { class: long ? "prose clamped" : "prose", tabIndex: -1 }, inert(statement));
  const whole = () => { text.classList.remove("clamped"); more.remove(); text.focus(); };
  const more = h("button", { type: "button", class: "more", onclick: whole }, "Show the whole task");
  return h("details", { class: "sheet section", open: true, id: "task" }, h("summary", {}, h("h3", {}, "Task")),
    h("div", { class: "body" }, text), long ? more : null);
}

export function stepPage(view) {
  const { before, step } = view;
  const title = h("h1", { tabIndex: -1, id: "heading" }, `Step ${step.number}`);
  return [
    taskSheet(view.statement),
    before.length ? h("details", { class: "sheet section", open: true, id: "before" },
      h("summary", {}, h("h3", {}, "Steps so far"), h("span", { class: "aside" }, `${before.length}`)), rows(before, ROWS_SHOWN)) : null,
    h("section", { class: "sheet step", "aria-labelledby": "heading" },
      h("header", {}, title, toolOf(step), stateOf(step)), partsOf(step)),
  ].filter(Boolean);
}

function side(name, { steps, patch }) {
  return h("section", { class: "sheet side", "aria-label": `Trajectory ${name}` },
    h("header", {}, h("h2", {}, name), h("span", {}, `${steps.length} step${steps.length === 1 ? "" : "s"}`)),
    h("ol", { class: "rows" }, steps.map(row)),
    h("div", { class: "change" }, h("h3", {}, "Final change"),
      patch ? code(patch, `Final change of ${name}`) : h("p", { class: "empty" }, "It changed nothing.")));
}

export function pairPage(view) {
  const sides = h("div", { class: "sides", "data-shown": "left" }, side("A", view.sides[0]), side("B", view.sides[1]));
  const tab = (name, where) => h("button", { type: "button", "aria-pressed": String(where === "left"), onclick: (event) => {
    sides.dataset.shown = where;
    for (const each of event.target.parentElement.children) each.setAttribute("aria-pressed", String(each === event.target));
  } }, `Trajectory ${name}`);
  return [
    h("h1", { tabIndex: -1, id: "heading" }, "Which did it better?"),
    taskSheet(view.statement),
    h("div", { class: "tabs", role: "group", "aria-label": "Trajectory shown" }, tab("A", "left"), tab("B", "right")),
    sides,
  ];
}
