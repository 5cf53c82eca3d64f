// Represents an ini file as a document that keeps every line. Any text can be parsed, and the document prints as the same text, byte for
// byte. Sections that have the same header are not merged. A document is immutable; the functions in ini-edit.ts create new documents.

export type LineEnd = '' | '\n' | '\r\n';

export interface IniLine {
  /** Text of the line without its line end. */
  readonly raw: string;
  readonly end: LineEnd;
}

/** A line that is neither blank nor a comment nor a section header. */
export interface IniContent {
  /** Line number, from 1. */
  readonly line: number;
  /** The whole line, trimmed; needed for sections such as `[clients]`, whose lines are not `key = value` entries. */
  readonly text: string;
  /** The text before the first `=`, trimmed; null if the line has no `=`. */
  readonly key: string | null;
  /** The text after the first `=`, trimmed; '' if the line has no `=`. */
  readonly value: string;
}

/** `unclosed`: the header has no `]`; `trailing`: text follows the `]`; `empty`: there is no text between the brackets. */
export type HeaderFault = 'unclosed' | 'trailing' | 'empty';

export interface IniSection {
  /** First word of the header, for example `namespace` in `[namespace osl]`. */
  readonly type: string;
  /** Text after the first word of the header, trimmed; null if the header has only one word. */
  readonly name: string | null;
  /** Line number of the header, counted from 1. */
  readonly line: number;
  /**
   * The fault is null if the header is valid. A faulty header still begins a section; otherwise the lines below would belong to the section
   * above.
   */
  readonly fault: HeaderFault | null;
  readonly contents: readonly IniContent[];
}

export interface IniDocument {
  readonly lines: readonly IniLine[];
  /** Content lines above the first section header. */
  readonly preamble: readonly IniContent[];
  readonly sections: readonly IniSection[];
}

export function parseIni(text: string): IniDocument {
  return documentOf(splitLines(text));
}

export function printIni(document: IniDocument): string {
  return document.lines.map(({ raw, end }) => raw + end).join('');
}

/** Makes a document from `lines` and finds its sections. */
export function documentOf(lines: readonly IniLine[]): IniDocument {
  const preamble: IniContent[] = [];
  const sections: IniSection[] = [];
  let contents = preamble;
  lines.forEach(({ raw }, index) => {
    const text = raw.trim();
    if (text === '' || isComment(text)) return;
    if (text.startsWith('[')) {
      contents = [];
      sections.push({ ...parseHeader(text), line: index + 1, contents });
    } else {
      contents.push(parseContent(text, index + 1));
    }
  });
  return { lines, preamble, sections };
}

/** Returns true if a trimmed line is a comment. */
export function isComment(text: string): boolean {
  return text.startsWith('#') || text.startsWith(';');
}

function splitLines(text: string): IniLine[] {
  const lines: IniLine[] = [];
  let start = 0;
  while (start < text.length) {
    const feed = text.indexOf('\n', start);
    if (feed < 0) {
      lines.push({ raw: text.slice(start), end: '' });
      break;
    }
    const end: LineEnd = feed > start && text[feed - 1] === '\r' ? '\r\n' : '\n';
    lines.push({ raw: text.slice(start, feed + 1 - end.length), end });
    start = feed + 1;
  }
  return lines;
}

function parseHeader(text: string): { type: string; name: string | null; fault: HeaderFault | null } {
  const close = text.indexOf(']');
  const inner = text.slice(1, close < 0 ? undefined : close).trim();
  const type = /^\S*/.exec(inner)?.[0] ?? '';
  const name = inner.slice(type.length).trim();
  return { type, name: name === '' ? null : name, fault: headerFault(text, close, type) };
}

function headerFault(text: string, close: number, type: string): HeaderFault | null {
  if (close < 0) return 'unclosed';
  if (close < text.length - 1) return 'trailing';
  return type === '' ? 'empty' : null;
}

function parseContent(text: string, line: number): IniContent {
  const equals = text.indexOf('=');
  if (equals < 0) return { line, text, key: null, value: '' };
  return { line, text, key: text.slice(0, equals).trim(), value: text.slice(equals + 1).trim() };
}
