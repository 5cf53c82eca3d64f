// Measures the width of text on a terminal, and fits text to a width. All functions work on grapheme clusters, so that a visible character
// is never cut in two. Control characters count as width 0; lib/printable.ts escapes them. Invariant: fit() returns exactly `width`
// columns, and truncate() returns at most `width` columns.

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

// Characters that take two columns: East Asian wide and full-width blocks, and emoji.
const WIDE =
  /^(?:[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{17000}-\u{18cff}]|[\u{1b000}-\u{1b2ff}]|[\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})/u;
const PLAIN = /^[\x20-\x7e]*$/;
const ZERO = /^(?:\p{Cc}|\p{Cf}|\p{M})+/u;
// Letters that take a column, although Unicode joins them with the next character, even with a space (Grapheme_Cluster_Break=Prepend).
const PREPENDED = /^[\u0d4e\u{111c2}\u{111c3}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}]/u;

/** Splits text into its visible characters (grapheme clusters). */
export function graphemesOf(text: string): string[] {
  // Fast path for plain ASCII, which has no clusters.
  if (PLAIN.test(text)) return text.split('');
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** Number of columns of one grapheme cluster: 0, 1 or 2, plus the columns of joined letters. */
export function graphemeWidth(grapheme: string): number {
  if (PLAIN.test(grapheme)) return grapheme.length;
  const seen = grapheme.replace(ZERO, '');
  if (seen === '') return 0;
  const rest = seen.replace(PREPENDED, '');
  if (rest !== seen) return 1 + graphemeWidth(rest);
  return WIDE.test(seen) ? 2 : 1;
}

export function textWidth(text: string): number {
  // Fast path for plain ASCII.
  if (PLAIN.test(text)) return text.length;
  return graphemesOf(text).reduce((sum, grapheme) => sum + graphemeWidth(grapheme), 0);
}

/** Returns the text. If the text is wider than `width` columns, cuts the text and appends `mark`. */
export function truncate(text: string, width: number, mark = '~'): string {
  if (textWidth(text) <= width) return text;
  let kept = '';
  let columns = 0;
  for (const grapheme of graphemesOf(text)) {
    const next = columns + graphemeWidth(grapheme);
    if (next > width - textWidth(mark)) break;
    kept += grapheme;
    columns = next;
  }
  return width < textWidth(mark) ? '' : kept + mark;
}

/** Cuts the text to `width` columns, or pads the text with spaces on the right. */
export function fit(text: string, width: number): string {
  const cut = truncate(text, width);
  return cut + ' '.repeat(Math.max(0, width - textWidth(cut)));
}

/** Breaks the text into lines of at most `width` columns, at spaces if possible. */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, width));
}

function wrapLine(line: string, width: number): string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(' ')) {
    const joined = current === '' ? word : `${current} ${word}`;
    if (textWidth(joined) <= width) {
      current = joined;
      continue;
    }
    if (current !== '') lines.push(current);
    const parts = chunks(word, width);
    lines.push(...parts.slice(0, -1));
    current = parts.at(-1) ?? '';
  }
  return [...lines, current];
}

function chunks(word: string, width: number): string[] {
  const parts: string[] = [];
  let part = '';
  for (const grapheme of graphemesOf(word)) {
    if (textWidth(part) + graphemeWidth(grapheme) > width && part !== '') {
      parts.push(part);
      part = '';
    }
    part += grapheme;
  }
  return [...parts, part];
}
