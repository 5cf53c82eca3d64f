// What the probe finds in a process between two signals (map-probe.ts), as it writes it for the bench (map.ts). Plain data.
// Invariant: either copies and turns were counted, or functions were profiled; the rest is empty.

export interface FunctionShare {
  /** `name file:line`, or a name in brackets: (idle), (program), (garbage collector). */
  readonly name: string;
  /** Share of the time in which the process was not idle. */
  readonly share: number;
}

export interface Probed {
  /** By copy and set of buffers. */
  readonly copiedBytes: number;
  readonly copies: number;
  /** Of the event loop. */
  readonly turns: number;
  /** Most first. */
  readonly functions: readonly FunctionShare[];
}
