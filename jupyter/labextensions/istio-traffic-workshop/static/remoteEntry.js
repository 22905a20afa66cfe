// The YAML of %%manifest cells in the colours of YAML: JupyterLab gives every code cell the language of the kernel.
//
// A prebuilt extension of JupyterLab is a module-federation container. This one is small enough to be written by hand,
// so that the course needs no build step: `init` is handed the modules that JupyterLab shares, `get` the plugin.
(() => {
  const YAML = "text/x-yaml";
  const ID = "istio-traffic-workshop:manifest-cells";
  let shared;

  const wanted = (notebook, cell) =>
    cell.sharedModel.getSource().startsWith("%%manifest") ? YAML : notebook.codeMimetype;

  // JupyterLab sets the language anew when the kernel tells its own, so cells are looked at whenever one changes.
  const follow = (notebook) => {
    const seen = new WeakSet();
    const set = (cell) => {
      const mimeType = wanted(notebook, cell);
      if (cell.mimeType !== mimeType) cell.mimeType = mimeType;
    };
    const look = () => {
      for (const { model } of notebook.widgets) {
        if (model.type !== "code") continue;
        set(model);
        if (seen.has(model)) continue;
        seen.add(model);
        model.mimeTypeChanged.connect(() => set(model));
      }
    };
    notebook.modelContentChanged.connect(look);
    notebook.modelChanged.connect(look);
    look();
  };

  const plugin = async () => {
    const [offer] = Object.values(shared["@jupyterlab/notebook"]);
    const { INotebookTracker } = (await offer.get())();
    return {
      id: ID,
      autoStart: true,
      requires: [INotebookTracker],
      activate: (app, tracker) => {
        tracker.forEach((panel) => follow(panel.content));
        tracker.widgetAdded.connect((_, panel) => follow(panel.content));
      },
    };
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["istio-traffic-workshop"] = {
    init: (scope) => {
      shared = scope;
    },
    get: async () => {
      const loaded = { __esModule: true, default: await plugin() };
      return () => loaded;
    },
  };
})();
