// Reads the entries of one section according to the schema. Unknown, duplicate and missing keys and wrong values are reported as findings.
// Combinations of keys are checked in rssrvcfg.ts and rscltcfg.ts.

import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Findings } from './findings.ts';
import type { IniContent, IniSection } from './ini-document.ts';
import { isLikely, isMistyped, nearestWord } from '../schema/nearest.ts';
import type { FileSchema, KeyEntry, KeyTable, SectionFields, ValueOf } from '../schema/entries.ts';

export class SectionReader<K extends KeyTable> {
  readonly section: IniSection;
  /** Name from the section header; '' if the header has no name. */
  readonly name: string;
  readonly line: number;
  readonly #keys: K;
  readonly #schema: FileSchema;
  readonly #findings: Findings;
  readonly #values = new Map<string, unknown>();
  readonly #lines = new Map<string, number>();
  /**
   * Keys that the administrator probably meant in faulty lines. The reader reports the faulty line, and does not report the key as missing.
   */
  readonly #meant = new Set<string>();

  constructor(section: IniSection, keys: K, schema: FileSchema, findings: Findings) {
    this.section = section;
    this.name = section.name ?? '';
    this.line = section.line;
    this.#keys = keys;
    this.#schema = schema;
    this.#findings = findings;
    for (const content of section.contents) this.#readContent(content);
    for (const [key, entry] of Object.entries(keys)) {
      if (entry.isRequired && !this.#lines.has(key) && !this.#meant.has(key)) {
        findings.problem(section.line, `No ${key} in ${headerOf(section)}: add "${key} = ..." (${entry.type.allowed})`);
      }
    }
  }

  /** If the file sets no correct value, returns the default, or null if the key has no default. */
  value<N extends keyof K & string>(key: N): ValueOf<K[N]> {
    const entry = this.#keys[key];
    assert(entry !== undefined, `No key ${key} in the schema of [${this.section.type}]`);
    const fallback = entry.default === null ? null : entry.type.parse(entry.default);
    return (this.#values.has(key) ? this.#values.get(key) : fallback) as ValueOf<K[N]>;
  }

  /** Returns the values of all keys that have a field in the configuration. */
  fields(): SectionFields<K> {
    const named = Object.entries(this.#keys).flatMap(([key, { field }]) => (field === undefined ? [] : [[field, this.value(key)]]));
    return Object.fromEntries(named) as SectionFields<K>;
  }

  /** Returns the value that the file sets. If the file sets no correct value, returns null, even if the key has a default. */
  given<N extends keyof K & string>(key: N): ValueOf<K[N]> | null {
    return this.#values.has(key) ? this.value(key) : null;
  }

  /** Returns true if a line of the section sets the key, even to a wrong value. */
  isSet(key: keyof K & string): boolean {
    return this.#lines.has(key);
  }

  /** Number of the line that sets the key, or number of the header line if the key is not set. */
  lineOf(key: keyof K & string): number {
    return this.#lines.get(key) ?? this.line;
  }

  #readContent(content: IniContent): void {
    if (content.key === null) {
      // Show the first word of the line only if this word is a known key, because a line without `=` may contain a secret.
      const word = content.text.split(/\s/)[0] ?? '';
      const known = Object.hasOwn(this.#keys, word);
      if (known) this.#meant.add(word);
      this.#findings.problem(
        content.line,
        `Line${known ? ` ${word}` : ''} in ${headerOf(this.section)} has no "=": allowed is KEY = VALUE`,
      );
      return;
    }
    const entry = Object.hasOwn(this.#keys, content.key) ? this.#keys[content.key] : undefined;
    if (entry === undefined) {
      this.#findings.problem(content.line, this.#unknownKey(content.key));
      return;
    }
    const first = this.#lines.get(content.key);
    if (first !== undefined) {
      this.#findings.problem(
        content.line,
        `Duplicate key ${content.key} in ${headerOf(this.section)} (first in line ${first}): remove one of them`,
      );
      return;
    }
    this.#lines.set(content.key, content.line);
    this.#parse(content, content.key, entry);
  }

  #parse(content: IniContent, key: string, entry: KeyEntry<unknown>): void {
    try {
      this.#values.set(key, entry.type.parse(content.value));
    } catch (thrown) {
      if (!(thrown instanceof RsError)) throw thrown;
      const shown = entry.type.isSecret ? '' : ` ${quoteText(content.value)}`;
      const hint = /\s[#;]/.test(content.value) ? '; a comment needs a line of its own' : '';
      this.#findings.problem(content.line, `Wrong value${shown} for ${key}: allowed is ${entry.type.allowed}${hint}`);
    }
  }

  #unknownKey(key: string): string {
    const here = headerOf(this.section);
    const homes = Object.entries(this.#schema).filter(([, { keys }]) => Object.hasOwn(keys, key));
    if (homes.length > 0) return `Key ${key} does not belong in ${here}: it is allowed in ${homes.map(([type]) => `[${type}]`).join(', ')}`;
    const allowed = Object.keys(this.#keys);
    const meant = nearestWord(key, allowed) ?? '';
    if (isMistyped(key, meant)) this.#meant.add(meant);
    return `Unknown key ${quoteText(key)} in ${here}: ${isLikely(key, meant) ? `did you mean ${meant}? Allowed` : 'allowed'} are ${allowed.join(', ')}`;
  }
}

/** Returns the section's header as it appears in messages, such as `[interface if1]`. */
export function headerOf(section: IniSection): string {
  const header = section.name === null ? section.type : `${section.type} ${section.name}`;
  return `[${quoteText(header).slice(1, -1)}]`;
}
