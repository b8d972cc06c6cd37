export default {
  input: "packages/cli/src/main.ts",
  platform: "node",
  resolve: { conditionNames: ["intremap-src", "node", "import"] },
  output: { dir: "packages/cli/dist", format: "esm", entryFileNames: "intremap.js", cleanDir: true },
};
