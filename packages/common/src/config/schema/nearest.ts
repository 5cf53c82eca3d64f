// Finds the word that a mistyped word most likely meant, by edit distance. Pure. The nearest word may still be far away; the caller decides
// what to say then.

/** Longer words are cut before the comparison: no key or section is that long. */
const COMPARED_MAX_CHARS = 40;

/** The candidate with the smallest edit distance, the first one of several; undefined without candidates. */
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

/** Whether the word differs so little that it hardly meant anything else. */
export function isMistyped(word: string, meant: string): boolean {
  return word.length <= COMPARED_MAX_CHARS && editDistance(word.toLowerCase(), meant) <= meant.length / 3;
}

/** Whether the word may have been meant, so that a question makes sense: at least half of it is there. */
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
