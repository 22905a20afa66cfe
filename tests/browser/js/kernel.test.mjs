// Widgets and the end of their kernel, run by node's own test runner: node --test tests/browser/js
import assert from "node:assert/strict";
import test from "node:test";
import { onLoss } from "../../../labsupport/display/static/kernel.mjs";

function modelThat(send) {
  const heard = new Map();
  return {
    heard,
    send,
    on: (name, act) => heard.set(name, act),
    off: (name, act) => heard.get(name) === act && heard.delete(name),
  };
}

test("whoever loses its kernel acts first and then greets it, so that an answer counts", () => {
  const order = [];
  const model = modelThat((message) => order.push(message));
  onLoss(model, () => order.push("lost"));
  model.heard.get("comm_live_update")();
  assert.deepEqual(order, ["lost", { do: "hello" }]);
});

test("a kernel that cannot be greeted is no error, and nothing is heard after the end", () => {
  let lost = 0;
  const model = modelThat(() => {
    throw new Error("closed");
  });
  const end = onLoss(model, () => (lost += 1));
  model.heard.get("comm_live_update")();
  assert.equal(lost, 1);
  end();
  assert.equal(model.heard.size, 0);
});
