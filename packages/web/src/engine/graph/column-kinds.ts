/** The columns of the picture of a host, in their order. */
export const columnKinds = ["device", "unit", "entry", "target"] as const;
