// Makes one text that stands for the incarnation of a mirror. The text has the incarnations of all replicas in sync. rsiod keeps this text
// across a restart of rsiod and compares it with the new text. A replica with a new incarnation may have lost unflushed writes, which rsiod
// can no longer replay after its restart. Pure. Invariant: a claim of the mirror does not change the text.

const PREFIX = 'mirror ';

/** `lives`: pairs of replica identity and incarnation; the incarnation is null while the replica is not open. */
export function mirrorLife(lives: readonly (readonly [identity: string, life: string | null])[]): string {
  return PREFIX + JSON.stringify(Object.fromEntries(lives.toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

/** False if a replica of the mirror is not open yet. Always true for a volume that is not a mirror. */
export function isLifeKnown(life: string): boolean {
  const lives = livesIn(life);
  return lives === null || (lives.size > 0 && [...lives.values()].every((one) => one !== null));
}

/**
 * True if the volume's incarnations in `now` and `before` differ. For a mirror: true if the incarnation of a replica in `now` differs or is
 * unknown.
 */
export function isNewLife(before: string, now: string): boolean {
  const [old, present] = [livesIn(before), livesIn(now)];
  if (old === null || present === null) return before !== now;
  return [...present].some(([identity, life]) => old.get(identity) !== life || life === null);
}

/** Returns null if the text is not the incarnation of a mirror. */
function livesIn(text: string): Map<string, unknown> | null {
  if (!text.startsWith(PREFIX)) return null;
  try {
    return new Map(Object.entries(JSON.parse(text.slice(PREFIX.length)) as Record<string, unknown>));
  } catch {
    return null;
  }
}
