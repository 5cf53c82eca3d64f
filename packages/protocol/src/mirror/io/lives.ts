// The incarnation of a mirror as one text: the incarnations of its replicas in sync. rsiod keeps it over a restart, and compares it, because
// a replica whose storage has started anew meanwhile may have lost what was not flushed, and nobody sends it again. Pure. Invariant: the
// claim of a mirror changes nothing in it.

const PREFIX = 'mirror ';

/** `lives`: by identity; null: the replica is not open yet. */
export function mirrorLife(lives: readonly (readonly [identity: string, life: string | null])[]): string {
  return PREFIX + JSON.stringify(Object.fromEntries(lives.toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

/** False if a replica of the mirror is not open yet. That of a plain volume is always known. */
export function isLifeKnown(life: string): boolean {
  const lives = livesIn(life);
  return lives === null || (lives.size > 0 && [...lives.values()].every((one) => one !== null));
}

/** Whether the storage of a volume or of a replica in sync is another one than before, or was not known before. */
export function isNewLife(before: string, now: string): boolean {
  const [old, present] = [livesIn(before), livesIn(now)];
  if (old === null || present === null) return before !== now;
  return [...present].some(([identity, life]) => old.get(identity) !== life || life === null);
}

/** null: it is not that of a mirror. */
function livesIn(text: string): Map<string, unknown> | null {
  if (!text.startsWith(PREFIX)) return null;
  try {
    return new Map(Object.entries(JSON.parse(text.slice(PREFIX.length)) as Record<string, unknown>));
  } catch {
    return null;
  }
}
