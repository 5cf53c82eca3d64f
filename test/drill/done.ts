// Patterns for texts of rsconfig which say that an earlier try of an order has succeeded, so that only its answer was lost. Invariant: a
// pattern contains the object that the order makes or removes, because a code such as E_EXISTS alone may be about another object.

export interface OrderOptions {
  /** Matches the text of rsconfig if an earlier try of the order has succeeded and only its answer was lost. */
  readonly done?: RegExp;
  /**
   * Whether the order may succeed although a part is not done yet. If `isRepeated` is true, the drill repeats the order until rsconfig
   * prints a text that matches `done`.
   */
  readonly isRepeated?: boolean;
  /** If the text of rsconfig matches `of`, an interrupted order has left something that prevents the next try. `run` removes it. */
  readonly remedy?: { readonly of: RegExp; readonly run: () => Promise<void> };
}

/** Pattern for the error of an order that must attach a volume itself, if the volume is already attached. */
export const ATTACHED_HERE = /is attached here: detach it first \(rsconfig -d/;

/** Pattern for the name of a volume as rsconfig and the servers print it: `p1`, `p1@0` or `osl:p1@0`. */
function named(name: string): string {
  return name.includes('@') ? `(?:osl:)?${name}` : `(?:osl:)?${name}(?:@0)?`;
}

export const DONE = {
  /** Pattern for an order that has made, cloned or copied this volume. */
  volume: (name: string) => new RegExp(`Volume ${named(name)} exists: `),
  volumeRemoved: (name: string) => new RegExp(`No server has a volume ${named(name)}:|No volume ${named(name)} on this server:`),
  volumeRestored: (name: string) =>
    new RegExp(`Volume ${named(name)} exists: rename that one first|No (?:server has a )?removed volume ${named(name)}:`),
  /** Servers make either all snapshots of one moment or none of them, so one name suffices. For a mirror, the text names servers. */
  snapshot: (names: readonly string[], snapshot: string) =>
    new RegExp(`Snapshot (?:${names.map(named).join('|')})@${snapshot} exists(?:: | on )`),
  snapshotRemoved: (name: string, snapshot: string) => new RegExp(`(?:Volume|Mirror) ${named(name)} has no snapshot "?${snapshot}"?:`),
  /** Only for plain volumes. For a mirror that already has the size, the repeated order succeeds. */
  grown: (name: string) => new RegExp(`Volume ${named(name)} has (\\S+), and \\1 is not more:`),
  backup: (file: string) => new RegExp(`Backup \\S*${file} exists, and no backup is ever replaced`),
  /** The volume was moved, or is being moved. The drill has no other open job. */
  moved: (name: string, pool: string) =>
    new RegExp(`Volume ${named(name)} is already in pool ${pool}:|Job \\S+, move of volume ${named(name)} .*, has not ended:`),
  replicaAdded: (mirror: string, server: string) => new RegExp(`Server ${server} has a replica of mirror ${named(mirror)} already`),
  /** The server no longer has anything of the replica. */
  replicaDetached: (mirror: string) => new RegExp(`mirror ${named(mirror)}, and only votes:|has nothing of mirror ${named(mirror)},`),
} as const;
