// The options of a drill: each one is a value that knows its help, its default and what is allowed. The harness derives the help from these
// values and parses the command line with them. Invariant: a wrong word is refused with E_USAGE, in a sentence that names the option, the
// word and what is allowed. Nothing is ignored.

import { parseArgs } from 'node:util';
import { parseSize, parseWhole, printSize, refuse, SIZE_ALLOWED } from '@rsio/base/lib/units';

const WIDTH = 110;
const SEED_MAX = 2 ** 32 - 1;
const HELP = 'help';

export interface Option<T> {
  /** Placeholder of the value in the help; null: the option is a flag. */
  readonly value: string | null;
  readonly about: string;
  /** The default, as text; null: there is none, or `about` says it. */
  readonly usual: string | null;
  /** Whether the option may be given several times. */
  readonly isRepeated?: boolean;
  /** `texts`: the values that were given. Throws E_USAGE. */
  readonly parse: (name: string, texts: readonly string[]) => T;
}

export type Options = Readonly<Record<string, Option<unknown>>>;
/** The values of options. */
export type Asked<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

interface Range {
  readonly value?: string;
  readonly min?: number;
  readonly max?: number;
}

/** An option with one value. Without `usual`, the value is `absent` if the option is not given. */
function one<T>(value: string, about: string, usual: string | null, read: (text: string) => T | null, allowed: string): Option<T> {
  return {
    value,
    about,
    usual,
    parse(name, texts) {
      const text = texts.at(-1) ?? usual ?? '';
      return read(text) ?? refuse(name, text, allowed);
    },
  };
}

/** An option that may be absent. */
export function optional<T>(option: Option<T>): Option<T | null> {
  return { ...option, usual: null, parse: (name, texts) => (texts.length === 0 ? null : option.parse(name, texts)) };
}

/** A whole number. */
export function count(usual: number, about: string, { value = 'N', min = 1, max = 1_000_000 }: Range = {}): Option<number> {
  const read = (text: string): number | null => within(parseWhole(text), min, max);
  return one(value, about, String(usual), read, `a whole number from ${min} to ${max}`);
}

/** A number that may have a fraction. */
export function amount(usual: number, about: string, { value = 'N', min, max = 100_000 }: Range = {}): Option<number> {
  const from = min === undefined ? 'above 0 and' : `from ${min} and`;
  const read = (text: string): number | null => within(/^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined, min ?? Number.MIN_VALUE, max);
  return one(value, about, String(usual), read, `a number ${from} at most ${max}`);
}

function within(number: number | undefined, min: number, max: number): number | null {
  return number !== undefined && number >= min && number <= max ? number : null;
}

/** Null: the harness chooses the seed. */
export function seed(
  about = 'make the same choices again; what processes do meanwhile is never the same (default: a new one)',
): Option<number | null> {
  return optional(count(0, about, { value: 'S', min: 0, max: SEED_MAX }));
}

export function flag(about: string): Option<boolean> {
  return { value: null, about, usual: null, parse: (_name, texts) => texts.length > 0 };
}

export function json(): Option<boolean> {
  return flag('print the figures of all runs as JSON; everything else goes to stderr');
}

/** A size in bytes. */
export function size(usual: string, about: string): Option<number> {
  return one('SIZE', about, usual, sizeOf, SIZE_ALLOWED);
}

/** Sizes in bytes, separated by commas. `allowsNone`: the empty text is no size. */
export function sizes(usual: string, about: string, allowsNone = false): Option<readonly number[]> {
  const read = (text: string): number[] | null => {
    if (allowsNone && text === '') return [];
    const all = text.split(',').map(sizeOf);
    return all.includes(null) ? null : all.filter((bytes) => bytes !== null);
  };
  return one('SIZE,...', about, usual, read, `${SIZE_ALLOWED}; or several, with commas`);
}

function sizeOf(text: string): number | null {
  try {
    const bytes = parseSize(text);
    return printSize(bytes) === '0' ? null : bytes;
  } catch {
    return null;
  }
}

export function text(value: string, usual: string, about: string): Option<string> {
  return one(value, about, usual, (given) => (given === '' ? null : given), 'a text that is not empty');
}

/** One of these names. */
export function choice<T extends string>(value: string, names: readonly T[], about: string, usual: T): Option<T> {
  return one(value, listed(about, names), usual, (given) => names.find((name) => name === given) ?? null, joined(names));
}

/** Some of these names, separated by commas, in the given order. */
export function choices<T extends string>(value: string, names: readonly T[], about: string): Option<readonly T[]> {
  const read = (given: string): T[] | null => {
    const found = given.split(',').map((word) => names.find((name) => name === word));
    return found.includes(undefined) ? null : found.filter((name) => name !== undefined);
  };
  return one(`${value},...`, listed(about, names), names.join(), read, `some of ${joined(names)}, with commas`);
}

/** Those of these names that contain a text. */
export function part<T extends string>(names: readonly T[], about: string): Option<readonly T[]> {
  return {
    value: 'TEXT',
    about: listed(about, names),
    usual: null,
    parse(name, texts) {
      const wanted = texts.at(-1) ?? '';
      const found = names.filter((each) => each.includes(wanted));
      return found.length > 0 ? found : refuse(name, wanted, `a part of ${joined(names)}`);
    },
  };
}

/** Names that are given one by one; by default none. */
export function repeated(value: string, names: readonly string[], about: string): Option<readonly string[]> {
  return {
    value,
    about: listed(about, names),
    usual: null,
    isRepeated: true,
    parse(name, texts) {
      const unknown = texts.find((given) => !names.includes(given));
      return unknown === undefined ? texts : refuse(name, unknown, joined(names));
    },
  };
}

function listed(about: string, names: readonly string[]): string {
  return `${about}: ${joined(names)}`;
}

function joined(names: readonly string[]): string {
  return names.map((name) => (name.includes(' ') ? `"${name}"` : name)).join(', ');
}

/** Returns the values; null: the help is asked for. Throws E_USAGE. */
export function parseOptions(options: Options, words: readonly string[]): Asked<Options> | null {
  const names = new Map(Object.keys(options).map((key) => [wordOf(key), key]));
  const types = Object.entries(options).map(([key, { value }]) => [wordOf(key), { type: value === null ? 'boolean' : 'string' }] as const);
  const allowed = [...names.keys(), HELP].map((name) => `--${name}`).join(', ');
  const { tokens } = parseArgs({ args: [...words], options: Object.fromEntries(types), strict: false, tokens: true });
  const given = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') refuse('argument', token.value, allowed);
    if (token.name === HELP) return null;
    const key = names.get(token.name);
    if (key === undefined || !token.rawName.startsWith('--')) refuse('option', token.rawName, allowed);
    const isFlag = options[key]?.value === null;
    if (isFlag && token.value !== undefined) refuse(token.rawName, token.value, 'the option without a value');
    const looksLikeOption = !token.inlineValue && token.value?.startsWith('--') === true;
    if (!isFlag && (token.value === undefined || looksLikeOption))
      refuse(token.rawName, token.value ?? '', `${options[key]?.value} after it`);
    given.set(key, [...(given.get(key) ?? []), token.value ?? '']);
  }
  return Object.fromEntries(Object.entries(options).map(([key, option]) => [key, option.parse(`--${wordOf(key)}`, given.get(key) ?? [])]));
}

/** The help. `call`: the command without options. `needs`: what the machine must have. */
export function helpOf(call: string, about: string, needs: readonly string[], options: Options): string {
  const all = Object.entries(options).map(([key, option]) => ({ ...option, shown: shownOf(key, option) }));
  const usage = all.map(({ shown, isRepeated }) => `[${shown}]${isRepeated === true ? '...' : ''}`);
  const rows = all.map(({ shown, about: said, usual }) => [shown, usual === null ? said : `${said} (default ${usual})`] as const);
  const width = Math.max(...rows.map(([shown]) => shown.length), HELP.length + 2) + 3;
  return [
    wrapped(['usage:', call, ...usage], ' '.repeat(9)),
    ...about.split(/\n\s*\n/).map((paragraph) => `\n${wrapped(paragraph.trim().split(/\s+/))}`),
    ...(needs.length === 0 ? [] : [`\n${wrapped(`Needs ${needs.join(', ')}.`.split(' '))}`]),
    '',
    ...[...rows, [`--${HELP}`, 'print this help and exit'] as const].map(
      ([shown, said]) => `  ${shown.padEnd(width)}${wrapped(said.split(' '), ' '.repeat(width + 2), width + 2)}`,
    ),
    '',
  ].join('\n');
}

function shownOf(key: string, { value }: Option<unknown>): string {
  return value === null ? `--${wordOf(key)}` : `--${wordOf(key)} ${value}`;
}

/** `takeOver` is the option --take-over. */
function wordOf(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Joins words to lines of at most WIDTH characters. `indent` begins each further line, and the first line begins in column `used`. */
export function wrapped(words: readonly string[], indent = '', used = 0): string {
  let [text, column] = ['', used];
  for (const word of words) {
    const isNew = text !== '' && column + 1 + word.length > WIDTH;
    text += isNew ? `\n${indent}${word}` : `${text === '' ? '' : ' '}${word}`;
    column = isNew ? indent.length + word.length : column + word.length + (text === word ? 0 : 1);
  }
  return text;
}
