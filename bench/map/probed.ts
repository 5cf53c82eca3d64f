// Findings of the probe (map-probe.ts) in a process between two signals, in the form in which the probe writes them for the bench (map.ts).
// Plain data. Invariant: either copies and turns are counted and `functions` is empty, or functions are profiled and the counts are 0.

export interface FunctionShare {
  /** `name file:line`, or a name in brackets: (idle), (program), (garbage collector). */
  readonly name: string;
  /** Share of the time in which the process was not idle. */
  readonly share: number;
}

export interface Probed {
  /** Bytes that `copy` and `set` of buffers have copied. */
  readonly copiedBytes: number;
  readonly copies: number;
  readonly turns: number;
  /** The function with the highest share comes first. */
  readonly functions: readonly FunctionShare[];
}
