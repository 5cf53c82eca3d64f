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
  let best: P | null = null;
  for (let index = 0; index < paths.length; index++) {
    const path = paths[index]!;
    if (path.queuedBytes > queuedMaxBytes || carried.includes(path.number)) continue;
    if (best === null || isBetter(path, best)) best = path;
  }
  return best;
}

function isBetter(path: PathPicture, than: PathPicture): boolean {
  if (path.suspect !== than.suspect) return than.suspect;
  return path.unansweredBytes < than.unansweredBytes;
}
