const shared = {
  platform: "node",
  resolve: { conditionNames: ["intremap-src", "node", "import"] },
};

export default [
  {
    ...shared,
    input: "packages/cli/src/main.ts",
    output: { dir: "packages/cli/dist", entryFileNames: "intremap.js", cleanDir: true },
  },
  {
    ...shared,
    input: ["bench/model.mjs", "bench/replay.mjs"],
    output: { dir: "bench/dist", cleanDir: true },
  },
];
