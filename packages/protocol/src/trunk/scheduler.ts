// Which path a request takes: a pure choice over a picture of the trunk. For now the path with the fewest bytes unanswered;
// suspect paths only when there is no other, and never one that already carries a copy.

export interface PathPicture {
  readonly number: number;
  readonly suspect: boolean;
  readonly unansweredBytes: number;
  readonly queuedBytes: number;
}

/** What a request costs a path beside its body: so that small ones are spread too. */
export const REQUEST_COST_BYTES = 512;

/** The path to use, or null: hold the request back. `carried`: paths that already have a copy of it. */
export function choosePath<P extends PathPicture>(paths: readonly P[], carried: readonly number[], queuedMaxBytes: number): P | null {
  const mayBeSuspect = areAllSuspect(paths);
  let best: P | null = null;
  for (let index = 0; index < paths.length; index++) {
    const path = paths[index]!;
    if ((path.suspect && !mayBeSuspect) || path.queuedBytes > queuedMaxBytes || carried.includes(path.number)) continue;
    if (best === null || path.unansweredBytes < best.unansweredBytes) best = path;
  }
  return best;
}

/** A good path that is full, or has a copy, is waited for: what went to a suspect one instead would wait for its death. */
function areAllSuspect(paths: readonly PathPicture[]): boolean {
  for (let index = 0; index < paths.length; index++) if (!paths[index]!.suspect) return false;
  return true;
}
