import type { Plugin } from "vite";

/** Browsers load no module from `file://`: the page's script becomes a classic one, which waits for the document. */
export function classicScripts(): Plugin {
  return {
    name: "classic-scripts",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: (html) =>
        html
          .replaceAll('<script type="module" crossorigin', "<script defer")
          .replaceAll('<link rel="stylesheet" crossorigin', '<link rel="stylesheet"'),
    },
  };
}
