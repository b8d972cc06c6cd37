import { defineConfig } from "vite";
import { scenarioModules } from "./scenario-modules.ts";

/**
 * The engine: what takes long runs in a worker. Browsers start none from `file://`, so it is a script that defines a
 * function, out of whose text the page makes a worker.
 */
export default defineConfig({
  resolve: { conditions: ["intremap-src", "browser", "import", "default"] },
  plugins: [scenarioModules()],
  build: {
    target: "es2023",
    emptyOutDir: false,
    reportCompressedSize: false,
    lib: { entry: "src/engine/worker.ts", formats: ["iife"], name: "engine", fileName: () => "engine.js" },
    rolldownOptions: {
      output: { banner: "globalThis.intremapEngine=function(){", footer: "};", codeSplitting: false },
    },
  },
});
