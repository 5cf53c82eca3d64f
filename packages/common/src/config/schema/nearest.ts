// Finds the known word that is closest to a mistyped word, by edit distance. The functions are pure. Even the closest word may be unrelated
// to the mistyped word, so the caller decides whether to suggest a word.

/** Number of characters that are compared; longer words are cut. The names of all keys and sections are shorter. */
const COMPARED_MAX_CHARS = 40;

/**
 * Returns the candidate with the smallest edit distance to `word`. If several candidates are equally close, returns the first of them.
 * Returns undefined if there are no candidates.
 */
export function nearestWord(word: string, candidates: readonly string[]): string | undefined {
  const compared = word.slice(0, COMPARED_MAX_CHARS).toLowerCase();
  let nearest: string | undefined;
  let shortest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(compared, candidate.toLowerCase());
    if (distance < shortest) {
      shortest = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Returns true if `word` differs so little from `meant` that the administrator almost certainly mistyped `meant`. */
export function isMistyped(word: string, meant: string): boolean {
  return word.length <= COMPARED_MAX_CHARS && editDistance(word.toLowerCase(), meant) <= meant.length / 3;
}

/** Returns true if `word` is similar enough to ask "did you mean": the edit distance is at most half the length of `meant`. */
export function isLikely(word: string, meant: string): boolean {
  return editDistance(word.slice(0, COMPARED_MAX_CHARS).toLowerCase(), meant.toLowerCase()) <= meant.length / 2;
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replace = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replace, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
