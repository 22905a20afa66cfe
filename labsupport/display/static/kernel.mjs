// What a widget hears of its kernel, and whether that is still there.

/**
 * Hear the kernel although the browser was slow: anywidget lets its messages wait for this module, and drops all of
 * them for ever if it has not come within two seconds. Once it is here, nothing has to wait for it.
 * @param {object} model of the widget.
 */
export function hearKernel(model) {
  // anywidget hands out only a part of the model; the model itself comes with each change of it.
  model.on("change:heard", (whole) => {
    const plain = Object.getPrototypeOf(whole.constructor.prototype);
    whole.comm?.on_msg(plain._handle_comm_msg.bind(whole));
  });
  model.set("heard", true);
}

/**
 * Act when the kernel may be gone, and greet it: whoever answers is there again.
 * @param {object} model of the widget.
 * @param {() => void} act
 * @returns {() => void} ends it.
 */
export function onLoss(model, act) {
  const follow = () => {
    act();
    try {
      model.send({ do: "hello" });
    } catch {
      // Nobody is left who would hear it.
    }
  };
  model.on("comm_live_update", follow);
  return () => model.off("comm_live_update", follow);
}
