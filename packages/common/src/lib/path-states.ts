// The words for the states of a path and of each direction of a path. Code, the control socket and screens use the same words.
// client/path-supervisor.ts of the package protocol defines which state may follow which.

export const PATH_STATES = ['down', 'connecting', 'proving', 'up', 'suspect', 'probation', 'retired'] as const;
export type PathState = (typeof PATH_STATES)[number];

/** States of a direction. `-`: the state is not known. */
export const DIRECTIONS = ['ok', 'fail', '-'] as const;
export type Direction = (typeof DIRECTIONS)[number];
