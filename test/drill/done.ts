// What rsconfig says of an order that was done before, although its answer was lost. Invariant: a text names the thing that the order makes or
// removes. A code alone is no proof, because E_EXISTS may be about a volume that is in the way.

export interface OrderOptions {
  /** What rsconfig says if the order was done before, although its answer was lost. A code alone may mean something else. */
  readonly done?: RegExp;
  /** The order may succeed and leave something, so that it is given again until it says `done`. */
  readonly isRepeated?: boolean;
  /** Removes what an interrupted order has left, and what is in the way of the next try. */
  readonly remedy?: { readonly of: RegExp; readonly run: () => Promise<void> };
}

/** An order that attaches a volume for itself found it attached. */
export const ATTACHED_HERE = /is attached here: detach it first \(rsconfig -d/;

/** A volume as rsconfig and the servers call it: `p1`, `p1@0` or `osl:p1@0`. */
function named(name: string): string {
  return name.includes('@') ? `(?:osl:)?${name}` : `(?:osl:)?${name}(?:@0)?`;
}

export const DONE = {
  /** Made, cloned, copied. */
  volume: (name: string) => new RegExp(`Volume ${named(name)} exists: `),
  volumeRemoved: (name: string) => new RegExp(`No server has a volume ${named(name)}:|No volume ${named(name)} on this server:`),
  volumeRestored: (name: string) =>
    new RegExp(`Volume ${named(name)} exists: rename that one first|No (?:server has a )?removed volume ${named(name)}:`),
  /** The servers have all snapshots of one moment, or none. Of a mirror, some servers are named. */
  snapshot: (names: readonly string[], snapshot: string) =>
    new RegExp(`Snapshot (?:${names.map(named).join('|')})@${snapshot} exists(?:: | on )`),
  snapshotRemoved: (name: string, snapshot: string) => new RegExp(`(?:Volume|Mirror) ${named(name)} has no snapshot "?${snapshot}"?:`),
  /** A mirror that has the size already says that it is done. */
  grown: (name: string) => new RegExp(`Volume ${named(name)} has (\\S+), and \\1 is not more:`),
  backup: (file: string) => new RegExp(`Backup \\S*${file} exists, and no backup is ever replaced`),
  /** Moved, or on the way. No other job is open. */
  moved: (name: string, pool: string) =>
    new RegExp(`Volume ${named(name)} is already in pool ${pool}:|Job \\S+, move of volume ${named(name)} .*, has not ended:`),
  replicaAdded: (mirror: string, server: string) => new RegExp(`Server ${server} has a replica of mirror ${named(mirror)} already`),
  /** Nothing is left on the server. */
  replicaDetached: (mirror: string) => new RegExp(`mirror ${named(mirror)}, and only votes:|has nothing of mirror ${named(mirror)},`),
} as const;
