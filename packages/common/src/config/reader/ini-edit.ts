// Edits an ini document. Each edit changes as few lines as possible and keeps all other lines, byte for byte. If the file has no final
// newline, an edit does not add one. The indent and the spacing of a new entry are copied from a neighbouring entry. An edit refuses only
// text that would break the structure of the file (E_CONFIG).

import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { documentOf, type IniDocument, type IniLine, type IniSection, isComment, type LineEnd } from './ini-document.ts';

interface EntryStyle {
  readonly indent: string;
  /** Number of columns from the indent to the `=`. */
  readonly width: number;
  /** White space that is put between the key and the `=` if the key has at least `width` characters. */
  readonly before: string;
  readonly after: string;
}

const PLAIN_STYLE: EntryStyle = { indent: '', width: 0, before: ' ', after: ' ' };

/**
 * Sets `key` in the section `document.sections[sectionIndex]`. Changes the line that sets the key; if no line sets the key, adds a line at
 * the end of the section.
 */
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

/** Removes every line of the section that sets `key`. If no line of the section sets `key`, returns `document` itself. */
export function removeEntry(document: IniDocument, sectionIndex: number, key: string): IniDocument {
  const doomed = new Set(
    sectionAt(document, sectionIndex)
      .contents.filter((content) => content.key === key)
      .map(({ line }) => line - 1),
  );
  return doomed.size === 0 ? document : withoutLines(document, (index) => doomed.has(index));
}

/** Adds one line (such as a client's line in `[clients]`) below the last content line of the section. */
export function appendLine(document: IniDocument, sectionIndex: number, text: string): IniDocument {
  const trimmed = text.trim();
  if (/[\r\n]/.test(text) || trimmed === '' || trimmed.startsWith('[') || isComment(trimmed)) {
    throw new RsError('E_CONFIG', 'Line is not content of a section: it may not be empty, begin with [ # or ; nor have line breaks');
  }
  return insertAfter(document, lastLineOf(sectionAt(document, sectionIndex)), [text]);
}

/**
 * Removes from the section all content lines for which `isDoomed` returns true. If `isDoomed` returns false for all lines, returns
 * `document` itself.
 */
export function removeLines(document: IniDocument, sectionIndex: number, isDoomed: (text: string) => boolean): IniDocument {
  const contents = sectionAt(document, sectionIndex).contents.filter(({ text }) => isDoomed(text));
  const doomed = new Set(contents.map(({ line }) => line - 1));
  return doomed.size === 0 ? document : withoutLines(document, (index) => doomed.has(index));
}

/** Changes all content lines in the section for which `change` returns another text. Keeps indents and line ends. */
export function changeLines(document: IniDocument, sectionIndex: number, change: (text: string) => string): IniDocument {
  let changed = document;
  for (const { text, line } of sectionAt(document, sectionIndex).contents) {
    const [to, { raw, end }] = [change(text), lineAt(document, line - 1)];
    if (to === text) continue;
    assert(to.trim() === to && to !== '' && !/[\r\n]/.test(to), 'A changed line stays one line');
    const start = raw.indexOf(text);
    const lines = changed.lines.with(line - 1, { raw: raw.slice(0, start) + to + raw.slice(start + text.length), end });
    changed = documentOf(lines);
  }
  return changed;
}

/** Where to insert a new section. `keyColumns` applies only if the document has no entry whose style can be copied. */
export interface SectionPosition {
  /** Index of the section above the new section; -1 for the top of the file; undefined for the end of the file. */
  readonly after?: number;
  /** Number of columns before the `=`. Default: the length of the longest key plus 1. */
  readonly keyColumns?: number;
}

/**
 * Adds a section, with a blank line between it and each of its neighbours. Comments directly above another section stay with that section.
 */
export function appendSection(
  document: IniDocument,
  type: string,
  name: string | null,
  entries: readonly (readonly [key: string, value: string])[],
  { after, keyColumns }: SectionPosition = {},
): IniDocument {
  const header = headerText(type, name);
  for (const [key, value] of entries) checkEntry(key, value);
  const width = keyColumns ?? 1 + Math.max(0, ...entries.map(([key]) => key.length));
  const neighbour = after === undefined || after < 0 ? undefined : sectionAt(document, after);
  const style = (neighbour && styleOf(document, neighbour)) ?? styleOf(document) ?? { ...PLAIN_STYLE, width };
  const block = [header, ...entries.map(([key, value]) => printEntry(key, value, style))];
  const above = after === undefined ? document.lines.length - 1 : after < 0 ? topLine(document) : lastAttachedLine(document, after);
  const isApart = above < 0 || isBlank(document, above);
  const isLast = above + 1 >= document.lines.length;
  return insertAfter(document, above, [...(isApart ? [] : ['']), ...block, ...(isLast || isBlank(document, above + 1) ? [] : [''])]);
}

/** Renames a section by changing only the name in its header. */
export function renameSection(document: IniDocument, sectionIndex: number, name: string): IniDocument {
  const section = sectionAt(document, sectionIndex);
  headerText(section.type, name);
  const old = lineAt(document, section.line - 1);
  const open = old.raw.indexOf('[') + 1;
  const start = section.name === null ? -1 : old.raw.indexOf(section.name, old.raw.indexOf(section.type, open) + section.type.length);
  assert(section.name !== null && start > open, 'Only a section with a name has another one');
  const raw = old.raw.slice(0, start) + name + old.raw.slice(start + section.name.length);
  return documentOf(document.lines.with(section.line - 1, { raw, end: old.end }));
}

/** Removes a section, the comments directly above its header, and the comments directly below its last entry. Other comments stay. */
export function removeSection(document: IniDocument, sectionIndex: number): IniDocument {
  let first = firstAttachedLine(document, sectionIndex);
  let last = lastAttachedLine(document, sectionIndex);
  const end = document.lines.length;
  const [above, below] = [blanksFrom(document, first - 1, -1), blanksFrom(document, last + 1, 1)];
  // At the top of the file, remove the blank lines below the section. At the end of the file, remove the blank lines above the section.
  // Between two sections, keep the longer run of blank lines.
  if (first === above) last += below;
  else if (last + 1 + below === end) first -= above;
  else last += Math.min(above, below);
  return withoutLines(document, (index) => index >= first && index <= last);
}

function headerText(type: string, name: string | null): string {
  const header = name === null ? type : `${type} ${name}`;
  if (!/^\S+( \S(.*\S)?)?$/.test(header) || /[[\]\r\n]/.test(header)) {
    throw new RsError(
      'E_CONFIG',
      `Wrong section header ${quoteText(header)}: allowed is TYPE or TYPE NAME without brackets or line breaks`,
    );
  }
  return `[${header}]`;
}

function checkEntry(key: string, value: string): void {
  if (key === '' || key !== key.trim() || /[=\r\n]/.test(key) || key.startsWith('[') || isComment(key)) {
    throw new RsError('E_CONFIG', `Wrong key ${quoteText(key)}: allowed is text without =, line breaks or outer white space`);
  }
  // Do not show the value in the message, because the value may be a secret.
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

/** Zero-based index of the section's last content line, or of the header if the section has no content. */
function lastLineOf(section: IniSection): number {
  return (section.contents.at(-1)?.line ?? section.line) - 1;
}

function isBlank(document: IniDocument, index: number): boolean {
  return lineAt(document, index).raw.trim() === '';
}

/** Counts consecutive blank lines from line `index` upwards (`step` -1) or downwards (`step` 1). */
function blanksFrom(document: IniDocument, index: number, step: 1 | -1): number {
  let count = 0;
  while (document.lines[index + count * step]?.raw.trim() === '') count += 1;
  return count;
}

function isCommentLine(document: IniDocument, index: number): boolean {
  const line = document.lines[index];
  return line !== undefined && isComment(line.raw.trim());
}

/** Zero-based index of the first comment line directly above the header; without such a comment, index of the header. */
function firstAttachedLine(document: IniDocument, sectionIndex: number): number {
  let first = sectionAt(document, sectionIndex).line - 1;
  while (isCommentLine(document, first - 1)) first -= 1;
  return first;
}

/**
 * Zero-based index of the section's last line. Comments directly below the content belong to the section if a blank line or the end of the
 * file follows.
 */
function lastAttachedLine(document: IniDocument, sectionIndex: number): number {
  const own = lastLineOf(sectionAt(document, sectionIndex));
  let last = own;
  while (isCommentLine(document, last + 1)) last += 1;
  return last + 1 >= document.lines.length || isBlank(document, last + 1) ? last : own;
}

/** Zero-based index of the last line above the first section and its comments; -1 if there is no such line. */
function topLine(document: IniDocument): number {
  return document.sections.length === 0 ? document.lines.length - 1 : firstAttachedLine(document, 0) - 1;
}

/** Inserts lines below line `index` (-1: at the top of the file), with the file's line ending. */
function insertAfter(document: IniDocument, index: number, texts: readonly string[]): IniDocument {
  const newline: LineEnd = document.lines.find(({ end }) => end !== '')?.end ?? '\n';
  const before = document.lines.slice(0, index + 1);
  const inserted: IniLine[] = texts.map((raw) => ({ raw, end: newline }));
  const last = before.at(-1);
  if (last?.end === '') {
    // If the last line of the file ends with a carriage return, that character becomes part of the line end.
    const isReturn = newline === '\n' && last.raw.endsWith('\r');
    before[index] = isReturn ? { raw: last.raw.slice(0, -1), end: '\r\n' } : { raw: last.raw, end: newline };
    inserted[inserted.length - 1] = { raw: texts.at(-1) ?? '', end: '' };
  }
  return documentOf([...before, ...inserted, ...document.lines.slice(index + 1)]);
}

function withoutLines(document: IniDocument, isDoomed: (index: number) => boolean): IniDocument {
  const rest = document.lines.filter((_, index) => !isDoomed(index));
  const last = rest.at(-1);
  if (last !== undefined && document.lines.at(-1)?.end === '') {
    // Drop a last line that is empty and has no line end, because the parser never returns such a line.
    rest.splice(-1, 1, ...(last.raw === '' ? [] : [{ raw: last.raw, end: '' as const }]));
  }
  return documentOf(rest);
}

function replaceValue(raw: string, value: string): string {
  const head = raw.slice(0, raw.indexOf('=') + 1);
  const [, gap = '', tail = ''] = /^(\s*)(?:\S(?:.*\S)?)?(\s*)$/su.exec(raw.slice(head.length)) ?? [];
  return head + (gap === '' && raw.length === head.length ? ' ' : gap) + value + tail;
}

/** Returns the style of the section's last entry, or of the document's last entry if no section is given. */
function styleOf(document: IniDocument, section?: IniSection): EntryStyle | undefined {
  const contents = section === undefined ? document.sections.flatMap((each) => each.contents) : section.contents;
  const entry = contents.findLast(({ key }) => key !== null && /^[a-z-]+$/.test(key));
  if (entry === undefined) return undefined;
  const match = /^([ \t]*)([a-z-]+)([ \t]*)=([ \t]*)/.exec(lineAt(document, entry.line - 1).raw);
  if (match === null) return undefined;
  const [, indent = '', key = '', before = '', after = ''] = match;
  return { indent, width: key.length + before.length, before: before.slice(0, 1), after };
}

function printEntry(key: string, value: string, style: EntryStyle): string {
  const padded = key.length < style.width ? key.padEnd(style.width) : key + style.before;
  return `${style.indent}${padded}=${style.after}${value}`;
}
