// Names for the states of a path and of each direction of a path. Code, the control socket and screens all use these names. In the package
// protocol, client/path-supervisor.ts defines which transitions between states are allowed.

export const PATH_STATES = ['down', 'connecting', 'proving', 'up', 'suspect', 'probation', 'retired'] as const;
export type PathState = (typeof PATH_STATES)[number];

/** States of a direction; `-` if the state is not known. */
export const DIRECTIONS = ['ok', 'fail', '-'] as const;
export type Direction = (typeof DIRECTIONS)[number];
