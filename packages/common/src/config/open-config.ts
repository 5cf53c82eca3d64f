// Shows a configuration file to a stranger: each value that the schema calls a secret, and each line that it does not know, is left out.
// Another program's text is cleaned of the secrets of the file. Pure. Invariants: a line keeps its number. What is not certainly no secret
// is left out, also in a file with faults, so that a key on a wrong line stays here.

import { isName, quoteText } from '@rsio/base/lib/units';
import { type IniContent, type IniSection, parseIni } from './reader/ini-document.ts';
import type { FileSchema, KeyEntry, SectionEntry } from './schema/entries.ts';
import { SECRET_CLEANED_MIN_CHARS, SECRET_LIKELY_MIN_CHARS } from './schema/limits.ts';

export const LEFT_OUT = '(left out)';

export interface OpenConfig {
  readonly text: string;
  /** What was left out and may be a secret. */
  readonly secrets: readonly string[];
}

interface Shown {
  readonly line: string;
  readonly secrets: readonly string[];
}

const BLANK: Shown = { line: '', secrets: [] };

/** `isFaultless`: rssrv or rsiod accepts the file. Only then is the first word of a line in [clients] a name. */
export function openConfig(text: string, schema: FileSchema, isFaultless: boolean): OpenConfig {
  const { lines, preamble, sections } = parseIni(text);
  const shown = new Map<number, Shown>();
  for (const { line, text: words } of preamble) shown.set(line, leftOut(likely(...words.split(/[\s=]+/))));
  for (const section of sections) {
    const entry = Object.hasOwn(schema, section.type) ? schema[section.type] : undefined;
    const header = headerOf(section, entry, isFaultless);
    // A message about a header with a fault quotes it.
    const words = header.includes(LEFT_OUT) ? (lines[section.line - 1]?.raw ?? '').split(/[\s[\]]+/) : [];
    shown.set(section.line, { line: header, secrets: likely(...words) });
    for (const content of section.contents) shown.set(content.line, contentOf(content, entry, isFaultless));
  }
  const all = lines.map(({ raw }, index) => shown.get(index + 1) ?? (raw.trim() === '' ? BLANK : commentOf(raw, schema)));
  return { text: all.map(({ line }) => `${line}\n`).join(''), secrets: all.flatMap(({ secrets }) => secrets) };
}

function leftOut(secrets: readonly string[], line = `# ${LEFT_OUT}`): Shown {
  return { line, secrets };
}

/** The texts that are long enough for a secret: shorter ones are ordinary words of a line with a fault. */
function likely(...texts: readonly string[]): string[] {
  return texts.filter(({ length }) => length >= SECRET_LIKELY_MIN_CHARS);
}

function headerOf({ type, name, fault }: IniSection, entry: SectionEntry | undefined, isFaultless: boolean): string {
  if (entry === undefined || fault !== null) return `# ${LEFT_OUT}: a header with a fault`;
  if (name === null) return `[${type}]`;
  return `[${type} ${isFaultless && isName(name) ? name : LEFT_OUT}]`;
}

function contentOf({ text, key, value }: IniContent, section: SectionEntry | undefined, isFaultless: boolean): Shown {
  if (section !== undefined && section.lines !== null) {
    const [first = '', ...others] = text.split(/\s+/);
    if (section.areLinesOpen === true) return isFaultless ? { line: text, secrets: [] } : leftOut(likely(first, ...others));
    return isFaultless ? leftOut(others, `${first} ${LEFT_OUT}`) : leftOut([...likely(first), ...others]);
  }
  const entry = key !== null && section !== undefined && Object.hasOwn(section.keys, key) ? section.keys[key] : undefined;
  // A message about an unknown key may quote the key, which is a part of a secret if the line is that of a client.
  if (key === null || entry === undefined) return leftOut(likely(value, ...text.split(/[\s=]+/)));
  const open = openValue(entry, value);
  return { line: `${key} = ${open.line}`, secrets: open.secrets };
}

function openValue({ type }: KeyEntry<unknown>, value: string): Shown {
  if (type.isSecret) return leftOut([value], LEFT_OUT);
  try {
    type.parse(value);
  } catch {
    // A message about a wrong value quotes it.
    return leftOut(likely(value, quoteText(value).slice(1, -1), ...value.split(/\s+/)), `${LEFT_OUT}: a wrong value`);
  }
  const open = type.openPart?.(value) ?? value;
  return open === value ? { line: value, secrets: [] } : leftOut(value.slice(open.length).split(/\s+/), `${open} ${LEFT_OUT}`);
}

/** A comment is often a line that was in use. */
function commentOf(raw: string, schema: FileSchema): Shown {
  const [, key = '', value = ''] = /^[#;\s]*([^\s=]*)\s*=\s*(.*?)\s*$/.exec(raw) ?? [];
  const isSecret = Object.values(schema).some(({ keys }) => Object.hasOwn(keys, key) && keys[key]?.type.isSecret === true);
  return leftOut(isSecret ? [value] : []);
}

/**
 * Returns a function that replaces the secrets in a text: as they are, and as JSON, hexadecimal digits and base64. Secrets of fewer than
 * SECRET_CLEANED_MIN_CHARS characters are left alone, because they would be found in many words.
 */
export function cleanerOf(secrets: Iterable<string>): (text: string) => string {
  const byStart = new Map<string, string[]>();
  // Most pairs of characters begin no secret, so that a long text is searched fast.
  const begins = new Uint8Array(2 ** 16);
  const usable = [...new Set(secrets)].filter(({ length }) => length >= SECRET_CLEANED_MIN_CHARS);
  for (const form of new Set(usable.flatMap(formsOf))) {
    const start = form.slice(0, SECRET_CLEANED_MIN_CHARS);
    begins[pairAt(form, 0)] = 1;
    byStart.set(start, [...(byStart.get(start) ?? []), form]);
  }
  // The longest first, so that nothing of a secret stays that begins with another one.
  for (const forms of byStart.values()) forms.sort((one, other) => other.length - one.length);
  return (text) => {
    if (byStart.size === 0) return text;
    let clean = '';
    let fromChar = 0;
    for (let at = 0; at + SECRET_CLEANED_MIN_CHARS <= text.length; at++) {
      if (begins[pairAt(text, at)] === 0) continue;
      const found = byStart.get(text.slice(at, at + SECRET_CLEANED_MIN_CHARS))?.find((form) => text.startsWith(form, at));
      if (found === undefined) continue;
      clean += text.slice(fromChar, at) + LEFT_OUT;
      fromChar = at + found.length;
      at = fromChar - 1;
    }
    return clean + text.slice(fromChar);
  };
}

function pairAt(text: string, at: number): number {
  return ((text.charCodeAt(at) << 8) ^ text.charCodeAt(at + 1)) & 0xffff;
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    hex,
    hex.toUpperCase(),
    bytes.toString('base64url'),
    bytes.toString('base64').replace(/=+$/, ''),
  ];
}
