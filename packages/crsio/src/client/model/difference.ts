// Computes the difference between two texts from their longest common subsequence of lines. Pure. Secret keys in the texts are shown as
// `(hidden)`. Invariant: work and memory are bounded by DIFF_CELLS_MAX; if a change is larger, all old lines are shown as one removed
// block, and all new lines as one added block.

import { DIFF_CELLS_MAX } from '../../widgets/limits.ts';

export interface DifferenceLine {
  readonly sign: '-' | '+' | ' ';
  readonly text: string;
}

/** Returns all lines of `old` and `now`, each marked as removed, added or unchanged. Differences between LF and CRLF are ignored. */
export function differenceOf(old: string, now: string): DifferenceLine[] {
  const [before, after] = [linesOf(old), linesOf(now)];
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < before.length - head && tail < after.length - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const middle = compare(before.slice(head, before.length - tail), after.slice(head, after.length - tail));
  const shared = (lines: readonly string[]): DifferenceLine[] => lines.map((text) => ({ sign: ' ', text }));
  const all = [...shared(before.slice(0, head)), ...middle, ...shared(before.slice(before.length - tail))];
  return all.map(({ sign, text }) => ({ sign, text: withoutKey(text) }));
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

// If a secret key changes, the old and the new line both appear, each with `(hidden)`.
function withoutKey(line: string): string {
  return line.replace(/^(\s*(?:nodekey|namespacekey|serverkey)\s*=\s*)\S.*$/, '$1(hidden)');
}

function compare(before: readonly string[], after: readonly string[]): DifferenceLine[] {
  const out = before.map((text): DifferenceLine => ({ sign: '-', text }));
  const into = after.map((text): DifferenceLine => ({ sign: '+', text }));
  if (before.length * after.length > DIFF_CELLS_MAX || out.length === 0 || into.length === 0) return [...out, ...into];
  const width = after.length + 1;
  const longest = new Uint32Array((before.length + 1) * width);
  for (let row = before.length - 1; row >= 0; row--) {
    for (let column = after.length - 1; column >= 0; column--) {
      const at = row * width + column;
      longest[at] =
        before[row] === after[column] ? 1 + (longest[at + width + 1] ?? 0) : Math.max(longest[at + width] ?? 0, longest[at + 1] ?? 0);
    }
  }
  return walk(before, after, (row, column) => longest[row * width + column] ?? 0);
}

function walk(before: readonly string[], after: readonly string[], longest: (row: number, column: number) => number): DifferenceLine[] {
  const lines: DifferenceLine[] = [];
  let [row, column] = [0, 0];
  while (row < before.length || column < after.length) {
    const [old, now] = [before[row], after[column]];
    if (old !== undefined && old === now) {
      lines.push({ sign: ' ', text: old });
      row += 1;
      column += 1;
    } else if (old !== undefined && (now === undefined || longest(row + 1, column) >= longest(row, column + 1))) {
      lines.push({ sign: '-', text: old });
      row += 1;
    } else {
      lines.push({ sign: '+', text: now ?? '' });
      column += 1;
    }
  }
  return lines;
}
