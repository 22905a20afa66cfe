// A question of an exercise: choices or a number, and what the answer is worth.

import { keepKeys, node, write } from "./dom.mjs";
import { hearKernel, onLoss } from "./kernel.mjs";

const COLOURS = { right: "--ws-ok", wrong: "--ws-ce", noted: "--ws-c0", none: "--ws-dim" };
const GONE = "Its kernel was restarted or has ended. Run the cell again to answer.";

/** Choices: arrow keys move among them, because the browser takes them for one group. */
function choices(parent, { choices: texts, text }, answer) {
  // By lot: each widget has this module to itself, so that a counter would make one group of all questions of a page.
  const name = `ws-question-${Math.random()}`;
  const inputs = texts.map((choice) => {
    const label = node("label", node("div", parent), "ws-choice");
    const input = node("input", label);
    Object.assign(input, { type: "radio", name, value: choice, title: text });
    node("span", label, "", choice);
    input.addEventListener("change", () => input.checked && answer(choice));
    return input;
  });
  return (given) => {
    for (const input of inputs) input.checked = input.value === given;
  };
}

/** A number as text: a number field has no empty state, and would suggest an answer. */
function number(parent, { unit, text }, answer) {
  const label = node("label", parent, "ws-choice", "Your answer:");
  const input = node("input", label);
  Object.assign(input, { type: "text", inputMode: "decimal", placeholder: "a number", title: text, size: 10 });
  node("span", label, "", unit);
  let sent = "";
  const send = () => {
    if (input.value.trim() === sent) return;
    sent = input.value.trim();
    if (sent) answer(sent);
  };
  input.addEventListener("change", send);
  input.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && send());
  return (given) => {
    if (document.activeElement !== input && given) input.value = given;
    sent = given;
  };
}

/** The question in one place of the page. */
export function renderQuestion({ model, el }) {
  const question = model.get("question");
  const root = node("div", el, "ws ws-asked ws-question");
  keepKeys(root);
  const panel = node("div", root, "ws-panel");
  const group = node("fieldset", panel);
  node("legend", group, "b", question.text);
  const answer = (value) => model.send({ answer: value });
  const show = (question.choices.length ? choices : number)(group, question, answer);
  const status = node("div", panel, "ws-gap");
  status.setAttribute("role", "status");
  const tag = node("span", status, "ws-tag");
  const lines = node("div", status);
  const note = node("div", status, "d");
  const update = () => {
    const said = model.get("said");
    show(said.answer);
    write(tag, `${said.sign} ${said.word}`);
    tag.style.color = `var(${COLOURS[said.state]})`;
    write(lines, said.lines.join(" "));
  };
  const alive = (there) => {
    group.disabled = !there;
    write(note, there ? "" : GONE);
  };
  const hear = (message) => message && message.kind === "here" && alive(true);
  update();
  model.on("change:said", update);
  model.on("msg:custom", hear);
  const unfollow = onLoss(model, () => alive(false));
  return () => {
    unfollow();
    model.off("msg:custom", hear);
    model.off("change:said", update);
    root.remove();
  };
}

export default {
  initialize: ({ model }) => hearKernel(model),
  render: renderQuestion,
};
