// Whether the kernel of a widget is still there.

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
