import { expect, test } from "vitest";
import { readVectorMatrix } from "./vector-matrix.ts";

const text = `name:   VECTOR
 size:   0
 mapped: 54
 flags:  0x00000003
Online bitmaps:        2
Global available:    379
Global reserved:      17
Total allocated:      23
System: 39: 0-19,32,50,128,236-255
 | CPU | avl | man | mac | act | vectors
     0   189     4     1   12  33-44
     1   190     5     5    0  
`;

test("each processor has its vectors that are free, managed and given away", () => {
  const { processors, lines } = readVectorMatrix(text);
  expect(processors).toEqual([
    { cpu: 0, line: 11, budget: { available: 189, managed: 4, managedAllocated: 1, allocated: 12 } },
    { cpu: 1, line: 12, budget: { available: 190, managed: 5, managedAllocated: 5, allocated: 0 } },
  ]);
  expect(lines.size).toBe(8);
});

test("rows are read behind the heading only, and up to the first that is none", () => {
  expect(readVectorMatrix("0 1 2 3 4\n").processors).toEqual([]);
  expect(readVectorMatrix(text.replace("   0   189", "   0  1.189")).processors).toEqual([]);
});
