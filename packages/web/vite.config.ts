import { defineConfig } from "vite";
import { classicScripts } from "./classic-scripts.ts";
import { scenarioModules } from "./scenario-modules.ts";

/** The page: one classic script and one style sheet, so that the folder works from any path and from `file://`. */
export default defineConfig({
  base: "./",
  resolve: { conditions: ["intremap-src", "browser", "import", "default"] },
  plugins: [scenarioModules(), classicScripts()],
  build: {
    target: "es2023",
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        format: "iife",
        codeSplitting: false,
        entryFileNames: "app.js",
        assetFileNames: "app[extname]",
      },
    },
  },
});
