// Defines names for the states of a path and of each direction of a path. The allowed transitions of a path are in
// packages/protocol/src/client/path-supervisor.ts.

export const PATH_STATES = ['down', 'connecting', 'proving', 'up', 'suspect', 'probation', 'retired'] as const;
export type PathState = (typeof PATH_STATES)[number];

/** States of one direction of a path; `-` means that the state is not known. */
export const DIRECTIONS = ['ok', 'fail', '-'] as const;
export type Direction = (typeof DIRECTIONS)[number];
