// Formats the table of kinds and operations that docs/OPERATING.md has between two marks. Pure. Invariants: the same outcomes give the same
// text. Refusals that differ only in the name of the volume have the same number.

import { plainName } from './operations.ts';

/** The outcome of an operation on a volume: the refusal, or null if the operation works. */
export interface Cell {
  readonly operation: string;
  readonly kind: string;
  readonly volume: string;
  readonly refusal: string | null;
}

export const TABLE_BEGIN = '<!-- made by test/table: UPDATE_TABLE=1 npx vitest run --project integration test/table -->';
export const TABLE_END = '<!-- end of the table -->';
const LINE_MAX_CHARS = 150;

/** Returns the text between the two marks. */
export function tableText(kinds: readonly { readonly title: string; readonly what: string }[], cells: readonly Cell[]): string {
  const operations = [...new Set(cells.map(({ operation }) => operation))];
  const notes: string[] = [];
  const shown = (operation: string, kind: string): string => {
    const cell = cells.find((one) => one.operation === operation && one.kind === kind);
    if (cell === undefined) return '';
    if (cell.refusal === null) return 'yes';
    const note = general(cell.refusal, cell.volume);
    if (!notes.includes(note)) notes.push(note);
    return String(notes.indexOf(note) + 1);
  };
  const titles = kinds.map(({ title }) => title);
  const rows = operations.map((operation) => row([operation, ...titles.map((kind) => shown(operation, kind))]));
  const legend = kinds.map(({ title, what }) => `*${title}*: ${what}`).join('; ');
  return [
    ...wrapped(`${legend}. A number is the refusal below; NAME is the volume.`, ''),
    '',
    row(['', ...titles]),
    row(['', ...titles].map(() => '---')).replaceAll(' ', ''),
    ...rows,
    '',
    ...notes.flatMap((note, index) => wrapped(`${index + 1}. ${note}`, '   ')),
  ].join('\n');
}

/** Returns the document with this table between its marks. Throws if the document has no marks. */
export function withTable(document: string, table: string): string {
  const [begin, end] = [document.indexOf(TABLE_BEGIN), document.indexOf(TABLE_END)];
  if (begin < 0 || end < begin) throw new Error(`The document has no lines ${TABLE_BEGIN} and ${TABLE_END}`);
  return `${document.slice(0, begin + TABLE_BEGIN.length)}\n${table}\n${document.slice(end)}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** Returns the refusal without the name of this volume. */
function general(refusal: string, volume: string): string {
  const named = new RegExp(String.raw`(?:osl:)?\b${plainName(volume)}(?:@\d)?(?=\W|$)`, 'g');
  return refusal.replaceAll(named, 'NAME').replaceAll(/\[(?=volume)/g, '\\[');
}

function wrapped(text: string, indent: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= LINE_MAX_CHARS) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(lines.length === 0 ? word : `${indent}${word}`);
  }
  return lines;
}
