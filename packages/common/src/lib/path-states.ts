// The states of a path and of each direction of a path, as words: in code, over the control socket and on screens.
// Which state may follow which is the job of protocol's client/path-supervisor.ts.

export const PATH_STATES = ['down', 'connecting', 'proving', 'up', 'suspect', 'probation', 'retired'] as const;
export type PathState = (typeof PATH_STATES)[number];

/** `-`: not known. */
export const DIRECTIONS = ['ok', 'fail', '-'] as const;
export type Direction = (typeof DIRECTIONS)[number];
