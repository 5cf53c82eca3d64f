// Edits of an ini document, each of which changes only the lines it must: comments, order, spacing and line ends of all others
// stay byte for byte, and a file without final newline stays without. New lines take over the look of their neighbours.
// Whether a key or value makes sense is for the schema; here only what would change the structure is refused (E_CONFIG).

import { assert } from '../lib/assert.ts';
import { RsError } from '../lib/errors.ts';
import { quoteText } from '../lib/units.ts';
import { documentOf, type IniDocument, type IniLine, type IniSection, isComment, type LineEnd } from './ini-document.ts';

/** What a new `key = value` line looks like. */
interface EntryStyle {
  readonly indent: string;
  /** Column of `=`, counted from the indent. */
  readonly width: number;
  /** White space before and after `=`. */
  readonly before: string;
  readonly after: string;
}

const PLAIN_STYLE: EntryStyle = { indent: '', width: 0, before: ' ', after: ' ' };

/** Sets `key` in the section with this index in `document.sections`: in its place where it exists, else as a new last line. */
export function setValue(document: IniDocument, sectionIndex: number, key: string, value: string): IniDocument {
  checkEntry(key, value);
  const section = sectionAt(document, sectionIndex);
  const entry = section.contents.find((content) => content.key === key);
  if (entry === undefined) {
    const style = styleOf(document, section) ?? styleOf(document) ?? PLAIN_STYLE;
    return appendLine(document, sectionIndex, printEntry(key, value, style));
  }
  const lines = [...document.lines];
  const old = lineAt(document, entry.line - 1);
  lines[entry.line - 1] = { raw: replaceValue(old.raw, value), end: old.end };
  return documentOf(lines);
}

/** Removes every line of the section that sets `key`; the same document when there is none. */
export function removeEntry(document: IniDocument, sectionIndex: number, key: string): IniDocument {
  const doomed = new Set(
    sectionAt(document, sectionIndex)
      .contents.filter((content) => content.key === key)
      .map(({ line }) => line - 1),
  );
  return doomed.size === 0 ? document : documentOf(document.lines.filter((_, index) => !doomed.has(index)));
}

/** Adds one line (such as one of `[clients]`) below the last content of the section. */
export function appendLine(document: IniDocument, sectionIndex: number, text: string): IniDocument {
  const trimmed = text.trim();
  if (/[\r\n]/.test(text) || trimmed === '' || trimmed.startsWith('[') || isComment(trimmed)) {
    throw new RsError('E_CONFIG', 'Line is not content of a section: it may not be empty, begin with [ # or ; nor have line breaks');
  }
  return insertAfter(document, lastLineOf(sectionAt(document, sectionIndex)), [text]);
}

/**
 * Adds a section: at the end of the file, or below the last content of section `afterIndex` (comments further down stay with the
 * section they stand above). One empty line sets it apart.
 */
export function appendSection(
  document: IniDocument,
  type: string,
  name: string | null,
  entries: readonly (readonly [key: string, value: string])[],
  afterIndex?: number,
): IniDocument {
  const header = name === null ? type : `${type} ${name}`;
  if (!/^\S+( \S(.*\S)?)?$/.test(header) || /[[\]\r\n]/.test(header)) {
    throw new RsError(
      'E_CONFIG',
      `Wrong section header ${quoteText(header)}: allowed is TYPE or TYPE NAME without brackets or line breaks`,
    );
  }
  for (const [key, value] of entries) checkEntry(key, value);
  const style = styleOf(document) ?? { ...PLAIN_STYLE, width: 1 + Math.max(0, ...entries.map(([key]) => key.length)) };
  const block = [`[${header}]`, ...entries.map(([key, value]) => printEntry(key, value, style))];
  const after = afterIndex === undefined ? document.lines.length - 1 : lastLineOf(sectionAt(document, afterIndex));
  const apart = after >= 0 && lineAt(document, after).raw.trim() !== '';
  return insertAfter(document, after, apart ? ['', ...block] : block);
}

function checkEntry(key: string, value: string): void {
  if (key === '' || key !== key.trim() || /[=\r\n]/.test(key) || key.startsWith('[') || isComment(key)) {
    throw new RsError('E_CONFIG', `Wrong key ${quoteText(key)}: allowed is text without =, line breaks or outer white space`);
  }
  // The value may be a secret: it is not shown.
  if (value !== value.trim() || /[\r\n]/.test(value)) {
    throw new RsError('E_CONFIG', `Wrong value for ${quoteText(key)}: allowed is text without line breaks or outer white space`);
  }
}

function sectionAt(document: IniDocument, index: number): IniSection {
  const section = document.sections[index];
  assert(section !== undefined, `No section ${index}`);
  return section;
}

function lineAt(document: IniDocument, index: number): IniLine {
  const line = document.lines[index];
  assert(line !== undefined, `No line ${index}`);
  return line;
}

/** 0-based index of the last line that belongs to the section for certain. */
function lastLineOf(section: IniSection): number {
  return (section.contents.at(-1)?.line ?? section.line) - 1;
}

/** Inserts lines below line `index` (-1: at the top), which keep the file's line end, also that of a last line without one. */
function insertAfter(document: IniDocument, index: number, texts: readonly string[]): IniDocument {
  const newline: LineEnd = document.lines.find(({ end }) => end !== '')?.end ?? '\n';
  const before = document.lines.slice(0, index + 1);
  const inserted: IniLine[] = texts.map((raw) => ({ raw, end: newline }));
  const last = before.at(-1);
  if (last?.end === '') {
    before[index] = { raw: last.raw, end: newline };
    inserted[inserted.length - 1] = { raw: texts.at(-1) ?? '', end: '' };
  }
  return documentOf([...before, ...inserted, ...document.lines.slice(index + 1)]);
}

function replaceValue(raw: string, value: string): string {
  const head = raw.slice(0, raw.indexOf('=') + 1);
  const [, gap = '', tail = ''] = /^(\s*)(?:\S(?:.*\S)?)?(\s*)$/su.exec(raw.slice(head.length)) ?? [];
  return head + (gap === '' && raw.length === head.length ? ' ' : gap) + value + tail;
}

/** The look of the last entry of the section, or of the whole document. */
function styleOf(document: IniDocument, section?: IniSection): EntryStyle | undefined {
  const contents = section === undefined ? document.sections.flatMap((each) => each.contents) : section.contents;
  const entry = contents.findLast(({ key }) => key !== null && /^[a-z-]+$/.test(key));
  if (entry === undefined) return undefined;
  // Spaces and tabs only: anything stranger is not copied.
  const match = /^([ \t]*)([a-z-]+)([ \t]*)=([ \t]*)/.exec(lineAt(document, entry.line - 1).raw);
  if (match === null) return undefined;
  const [, indent = '', key = '', before = '', after = ''] = match;
  return { indent, width: key.length + before.length, before: before.slice(0, 1), after };
}

function printEntry(key: string, value: string, style: EntryStyle): string {
  const padded = key.length < style.width ? key.padEnd(style.width) : key + style.before;
  return `${style.indent}${padded}=${style.after}${value}`;
}
