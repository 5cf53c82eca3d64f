// Texts of rsconfig that mean: this order was done before, but its answer was lost. Invariant: a text names the object that the order makes
// or removes, because a code such as E_EXISTS may be about another volume of that name.

export interface OrderOptions {
  /** Text of rsconfig if the order was done before and its answer was lost. */
  readonly done?: RegExp;
  /** The order may succeed and leave a rest, so that it is repeated until rsconfig prints `done`. */
  readonly isRepeated?: boolean;
  /** Removes the rest of an interrupted order that prevents the next try. */
  readonly remedy?: { readonly of: RegExp; readonly run: () => Promise<void> };
}

/** Error of an order that must attach a volume itself and finds it attached. */
export const ATTACHED_HERE = /is attached here: detach it first \(rsconfig -d/;

/** A volume as rsconfig and the servers call it: `p1`, `p1@0` or `osl:p1@0`. */
function named(name: string): string {
  return name.includes('@') ? `(?:osl:)?${name}` : `(?:osl:)?${name}(?:@0)?`;
}

export const DONE = {
  /** A volume was made, cloned or copied. */
  volume: (name: string) => new RegExp(`Volume ${named(name)} exists: `),
  volumeRemoved: (name: string) => new RegExp(`No server has a volume ${named(name)}:|No volume ${named(name)} on this server:`),
  volumeRestored: (name: string) =>
    new RegExp(`Volume ${named(name)} exists: rename that one first|No (?:server has a )?removed volume ${named(name)}:`),
  /** Servers make all snapshots of one moment or none. For a mirror, the text names servers. */
  snapshot: (names: readonly string[], snapshot: string) =>
    new RegExp(`Snapshot (?:${names.map(named).join('|')})@${snapshot} exists(?:: | on )`),
  snapshotRemoved: (name: string, snapshot: string) => new RegExp(`(?:Volume|Mirror) ${named(name)} has no snapshot "?${snapshot}"?:`),
  /** For a mirror of this size, the order itself says that it is done. */
  grown: (name: string) => new RegExp(`Volume ${named(name)} has (\\S+), and \\1 is not more:`),
  backup: (file: string) => new RegExp(`Backup \\S*${file} exists, and no backup is ever replaced`),
  /** The volume was moved, or is moving; no other job is open. */
  moved: (name: string, pool: string) =>
    new RegExp(`Volume ${named(name)} is already in pool ${pool}:|Job \\S+, move of volume ${named(name)} .*, has not ended:`),
  replicaAdded: (mirror: string, server: string) => new RegExp(`Server ${server} has a replica of mirror ${named(mirror)} already`),
  /** The server has no rest of the replica. */
  replicaDetached: (mirror: string) => new RegExp(`mirror ${named(mirror)}, and only votes:|has nothing of mirror ${named(mirror)},`),
} as const;
