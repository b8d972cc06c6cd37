import { writeFileSync } from "node:fs";
import { hotLayouts } from "../packages/core/src/spec/hot-layouts.ts";
import { accessorSource } from "../packages/core/src/spec/accessor-source.ts";

/** Writes `packages/core/src/spec/accessors/*.ts` from the layouts that the hot path reads. */
for (const layout of hotLayouts) {
  const file = new URL(`../packages/core/src/spec/accessors/${layout.name}.ts`, import.meta.url);
  writeFileSync(file, accessorSource(layout));
}
