// The order of what happens at the gates of one process. Rule D1 compares steps of this order, never times: whether a host still held a path
// when another path changed a block is a question of order, and a delay of the network has no part in it. Invariant: a step that happens
// later has a higher number, for all volumes, paths and gates of the process.

import { GatePath, type PathPorts } from './gate-path.ts';

export class GateOrder {
  /** The number of the latest step. A message that is sent now was sent after this step, and before the next one. */
  now = 0;
  private paths = 0;

  next(): number {
    return ++this.now;
  }

  /** A path begins: a login of a host, with all its connections. */
  newPath(ports: PathPorts): GatePath {
    return new GatePath(this, ++this.paths, ports);
  }
}
