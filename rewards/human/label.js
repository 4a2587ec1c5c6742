// The labelling page: who labels, what is answered, keys, saving and undoing. What is read is drawn by label_view.js.

import { h, kbd, pairPage, stepPage } from "./label_view.js";

const $ = (id) => document.getElementById(id);
const POINTS = [1, 2, 3, 4, 5];
const state = { annotator: "", kind: "step", criteria: [], items: [], at: -1, draft: {}, current: 0, shownAt: 0, away: 0 };

// ---- small helpers ----

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Error("the labelling server does not answer; is `trajhub label` still running?");
  }
  const data = await reply.json();
  if (!reply.ok) throw new Error(data.error);
  return data;
}

let silence;
function say(text, ...more) {
  clearTimeout(silence);
  $("said").replaceChildren(text, ...more);
  silence = setTimeout(() => $("said").replaceChildren(), 6000);
}

// One action at a time: another is passed over meanwhile, or begun afterwards if it `waits`.
function guarded(action, prefix = "", waits = false) {
  return async function again(...args) {
    if (state.busy) {
      if (waits) state.later = again;
      return;
    }
    state.busy = true;
    document.body.classList.add("busy");
    try {
      await action(...args);
      $("trouble").textContent = "";
    } catch (error) {
      $("trouble").textContent = prefix + error.message;
    } finally {
      state.busy = false;
      document.body.classList.remove("busy");
    }
    const { later } = state;
    state.later = null;
    await later?.();
  };
}

const remember = (name, value) => sessionStorage.setItem(`${name}:${state.annotator}`, JSON.stringify(value));
const recall = (name) => JSON.parse(sessionStorage.getItem(`${name}:${state.annotator}`) ?? "null");

// ---- the answer ----

function noteField() {
  const area = h("textarea", { id: "note", name: "note", rows: 1, maxLength: 10000, placeholder: state.kind === "pair" ? "Comment" : "", oninput: () => changed({ note: area.value }) });
  return h("label", { class: "note" }, h("span", {}, "Comment (optional)", kbd("c")), area);
}

function actions() {
  return h("div", { class: "act" },
    h("button", { type: "button", class: "quiet", onclick: () => move(-1), "aria-label": "Previous item" }, "‹", kbd("p")),
    h("button", { class: "primary", id: "save" }, "Save", kbd("Enter")),
    h("button", { type: "button", class: "quiet", onclick: () => move(1), "aria-label": "Next item" }, kbd("n"), "›"));
}

function hints() {
  const keys = KEYS[state.kind].filter(([, , brief]) => brief);
  return h("p", { class: "legend" }, keys.map(([key, , brief]) => h("span", {}, keysOf(key), brief)));
}

function criterion({ name, title, question }, index) {
  const point = (value, label, spoken) => h("label", {}, h("input", { type: "radio", name, value, "aria-label": spoken,
    onchange: () => score(index, value, false), onfocus: () => focusOn(index) }), h("span", { "aria-hidden": "true" }, label));
  return h("fieldset", { class: "criterion", id: `criterion-${index}` },
    h("legend", {}, title, h("span", {}, question)),
    h("div", { class: "points" }, POINTS.map((value) => point(String(value), String(value), `${value} of 5`)), point("na", "n/a", "does not apply")));
}

function stepForm() {
  return [
    h("p", { class: "scale" }, h("b", {}, "1"), " not at all, ", h("b", {}, "3"), " partly, ", h("b", {}, "5"), " fully, ", h("b", {}, "0"), " does not apply"),
    ...state.criteria.map(criterion), noteField(), actions(), hints(),
  ];
}

function pairForm() {
  const choice = (value, label, key) => h("label", {}, h("input", { type: "radio", name: "choice", value,
    onchange: () => changed({ choice: value }) }), label, kbd(key));
  return [
    h("fieldset", { class: "choices" }, h("legend", {}, "Better"), choice("left", "A", "a"), choice("tie", "Tie", "t"), choice("right", "B", "b")),
    noteField(), actions(), hints(),
  ];
}

function fill() {
  const form = $("answer");
  for (const [name, value] of Object.entries(state.draft.points ?? {})) {
    form.elements[name].value = value === null ? "na" : String(value);
  }
  if (state.draft.choice) form.elements.choice.value = state.draft.choice;
  form.elements.note.value = state.draft.note ?? "";
}

function missing() {
  if (state.kind === "pair") return state.draft.choice ? [] : ["choice"];
  return state.criteria.map(({ name }) => name).filter((name) => state.draft.points?.[name] === undefined);
}

function changed(change) {
  state.draft = { ...state.draft, ...change, key: null };
  remember(`draft-${state.items[state.at].id}`, state.draft);
  ready();
}

function ready() {
  $("save").setAttribute("aria-disabled", String(missing().length > 0));
  state.criteria.forEach((_, index) => $(`criterion-${index}`)?.classList.remove("missing"));
}

function score(index, value, advance = true) {
  const { name } = state.criteria[index];
  changed({ points: { ...state.draft.points, [name]: value === "na" ? null : Number(value) } });
  $("answer").elements[name].value = value;
  if (advance && index + 1 < state.criteria.length) focusOn(index + 1, true);
  else focusOn(index, advance);
}

function focusOn(index, move = false) {
  state.current = Math.min(Math.max(index, 0), state.criteria.length - 1);
  state.criteria.forEach((_, each) => $(`criterion-${each}`).classList.toggle("current", each === state.current));
  if (!move) return;
  const group = $(`criterion-${state.current}`);
  (group.querySelector(":checked") ?? group.querySelector("input")).focus();
}

// ---- moving, saving, undoing ----

function took(overview) {
  state.items = overview.items;
  const done = state.items.filter((item) => item.done).length;
  $("progress").max = state.items.length;
  $("progress").value = done;
  $("count").textContent = `${done} done`;
}

async function show(index, draft) {
  const { id, done } = state.items[index];
  const view = await ask(`api/item?${new URLSearchParams({ annotator: state.annotator, id })}`);
  state.at = index;
  remember("at", id);
  state.draft = draft ?? recall(`draft-${id}`) ?? { ...view.answer };
  $("read").replaceChildren(...(state.kind === "step" ? stepPage(view) : pairPage(view)));
  $("answer").replaceChildren(...(state.kind === "step" ? stepForm() : pairForm()));
  $("answer").hidden = false;
  document.title = `${index + 1} of ${state.items.length} · Labelling`;
  $("title").textContent = `${state.kind === "step" ? "Item" : "Pair"} ${index + 1} of ${state.items.length}${done ? ", saved" : ""}`;
  fill();
  ready();
  if (state.kind === "step") focusOn(Math.max(0, state.criteria.findIndex(({ name }) => missing().includes(name))));
  window.scrollTo(0, 0);
  $("heading").focus({ preventScroll: true });
  state.shownAt = performance.now();
  state.away = 0;
}

function finished() {
  state.at = -1;
  remember("at", null);
  $("answer").hidden = true;
  $("title").textContent = "Done";
  $("read").replaceChildren(h("section", { class: "sheet end" }, h("h1", { tabIndex: -1, id: "heading" }, "All done"),
    h("p", {}, "Nothing is left to label. You may close this page, or look at your answers again."),
    h("button", { class: "primary", type: "button", onclick: guarded(() => show(0)) }, "Look again")));
  $("heading").focus();
}

async function next(from) {
  const after = [...state.items.keys()].map((offset) => (from + 1 + offset) % state.items.length);
  const open = after.find((index) => !state.items[index].done);
  if (open === undefined) finished();
  else await show(open);
}

const move = guarded(async (by) => {
  const index = state.at < 0 ? 0 : state.at + by;
  if (index >= 0 && index < state.items.length) await show(index);
});

const save = guarded(async () => {
  if (state.at < 0) return;
  const lacking = missing();
  if (lacking.length) {
    say(state.kind === "pair" ? "Choose A, B or tie first." : `${lacking.length} of ${state.criteria.length} criteria need a score, or 0.`);
    state.criteria.forEach(({ name }, index) => $(`criterion-${index}`)?.classList.toggle("missing", lacking.includes(name)));
    if (state.kind === "step") focusOn(state.criteria.findIndex(({ name }) => lacking.includes(name)), true);
    return;
  }
  const at = state.at;
  const item = state.items[at].id;
  state.draft.key ??= crypto.randomUUID(); // kept until it is saved: sent twice, it counts once
  const seconds = Math.round(performance.now() - state.shownAt - state.away) / 1000;
  const { key, points, choice, note } = state.draft;
  took(await ask("api/save", { annotator: state.annotator, item, key, points, choice, note: note ?? "", seconds }));
  sessionStorage.removeItem(`draft-${item}:${state.annotator}`);
  say("Saved.", h("button", { type: "button", onclick: () => undo() }, "Undo ", kbd("u")));
  await next(at);
}, "Not saved: ");

const undo = guarded(async () => {
  const overview = await ask("api/undo", { annotator: state.annotator });
  took(overview);
  if (!overview.undone) return say("There is nothing to undo.");
  await show(state.items.findIndex((item) => item.id === overview.undone), overview.answer);
  changed({});
  say("Undone. Save it again, or change it.");
}, "Not undone: ", true);

// ---- keys ----

const KEYS = {
  step: [
    ["1 … 5", "score the criterion, go to the next", "score"], ["0", "the criterion does not apply", "n/a"],
    ["↑ ↓", "criterion before, after (also k, j)", "criterion"], ["Enter", "save, go to the next item", "save"],
    ["u", "undo the last save", "undo"], ["p n", "item before, after", "item"], ["c", "comment (Ctrl Enter saves, Esc leaves it)"],
    ["o", "unfold long texts", "unfold"], ["s", "steps so far: open or close"], ["t", "task: open or close"], ["?", "these keys"],
  ],
  pair: [
    ["a ←", "A is better"], ["b →", "B is better"], ["t 0", "tie"], ["Enter", "save, go to the next pair", "save"],
    ["u", "undo the last save", "undo"], ["p n", "pair before, after", "pair"], ["↑ ↓", "step before, after (also k, j)", "step"],
    ["Space", "open or close the step", "open"], ["c", "comment (Ctrl Enter saves, Esc leaves it)"],
    ["o", "unfold long texts", "unfold"], ["?", "these keys"],
  ],
};
const keysOf = (keys) => keys.split(" ").map((key) => (key === "…" ? key : kbd(key)));

function choose(value) {
  $("answer").elements.choice.value = value;
  changed({ choice: value });
}

function alongRows(by) {
  const all = [...$("read").querySelectorAll("summary")].filter((each) => each.offsetParent);
  const at = all.indexOf(document.activeElement);
  all[Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
}

function keyed(key) {
  const toggle = (id) => () => { const details = $(id); if (details) details.open = !details.open; };
  const common = {
    u: undo, p: () => move(-1), n: () => move(1), "?": () => $("keys").showModal(), c: () => $("note")?.focus(), Enter: save,
    o: () => $("read").querySelectorAll(".fold, #task .more").forEach((button) => button.click()),
  };
  if (state.kind === "pair") {
    const pair = { a: () => choose("left"), ArrowLeft: () => choose("left"), b: () => choose("right"), ArrowRight: () => choose("right"),
      t: () => choose("tie"), 0: () => choose("tie"), j: () => alongRows(1), ArrowDown: () => alongRows(1), k: () => alongRows(-1), ArrowUp: () => alongRows(-1) };
    return pair[key] ?? common[key];
  }
  if (/^[1-5]$/.test(key)) return () => score(state.current, key);
  const by = (amount) => () => focusOn(state.current + amount, true);
  const step = { 0: () => score(state.current, "na"), j: by(1), ArrowDown: by(1), k: by(-1), ArrowUp: by(-1), s: toggle("before"), t: toggle("task") };
  return step[key] ?? common[key];
}

document.addEventListener("keydown", (event) => {
  if ($("main").hidden || $("keys").open) return;
  const typing = event.target.matches("textarea, input:not([type=radio])");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (state.busy) { // nobody scores what is not yet on the page; an undo waits
    if (event.key === "u") undo();
    return event.preventDefault();
  }
  if (event.key === "Enter" && event.target.matches("button, summary, a")) return;
  const act = keyed(event.key);
  if (!act || (state.at < 0 && !["u", "p", "n", "?"].includes(event.key))) return;
  event.preventDefault();
  act();
});

// ---- beginning ----

const begin = guarded(async (name) => {
  const overview = await ask(`api/session?${new URLSearchParams({ annotator: name })}`);
  Object.assign(state, { annotator: overview.annotator, kind: overview.kind, criteria: overview.kind === "step" ? overview.criteria : [] });
  history.replaceState(null, "", `?${new URLSearchParams({ annotator: state.annotator })}`);
  document.body.className = state.kind === "step" ? "step-kind" : "pair";
  $("door").hidden = true;
  $("bar").hidden = $("main").hidden = false;
  $("who").replaceChildren(h("span", {}, state.annotator));
  $("who").setAttribute("aria-label", `Annotator ${state.annotator}; change`);
  $("keys-list").replaceChildren(...KEYS[state.kind].flatMap(([keys, text]) => [h("dt", {}, keysOf(keys)), h("dd", {}, text)]));
  took(overview);
  const at = state.items.findIndex((item) => item.id === recall("at"));
  if (at >= 0) await show(at);
  else await next(-1);
});

function knock() {
  $("bar").hidden = $("main").hidden = true;
  $("door").hidden = false;
  $("name").focus();
}

$("sign").addEventListener("submit", (event) => { event.preventDefault(); begin($("name").value); });
$("answer").addEventListener("submit", (event) => { event.preventDefault(); save(); });
$("help").addEventListener("click", () => $("keys").showModal());
$("who").addEventListener("click", knock);
let left = 0;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) left = performance.now();
  else state.away += performance.now() - left;
});

const known = new URLSearchParams(location.search).get("annotator");
if (known) begin(known).then(() => { if ($("main").hidden) knock(); });
else knock();
