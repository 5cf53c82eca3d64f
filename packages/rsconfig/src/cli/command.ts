// What a command of rsconfig is: how it is called, its options and words, its help, what it runs. command-table.ts lists them all;
// the command line (args.ts), the help (help.ts) and the shell completion are made from that list and know no command by name.
// Invariant: a command is given its own options only, each with the type its kind says.

import type { Shape } from '@rsio/common/control/shape';
import { RsError } from '@rsio/common/lib/errors';
import { parseDuration, printDuration } from '@rsio/common/lib/units';
import { WAIT_MAX_MS, WAIT_MS } from './limits.ts';
import type { CommandContext } from './command-context.ts';

export interface OptionSpec {
  /**
   * `flag`: there or not; `count`: how often it is there; `text`: takes a value; `list`: takes one each time it is there; `wait`: how long
   * to wait, `--wait` or `--wait=5m`.
   */
  readonly kind: 'flag' | 'count' | 'text' | 'list' | 'wait';
  readonly short?: string;
  /** Stands for the value in the help: `S` in `--server S`. */
  readonly value?: string;
  /** For --help; at most 60 columns a line. */
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

interface GivenByKind {
  readonly flag: boolean;
  readonly count: number;
  readonly text: string | null;
  readonly list: readonly string[];
  /** Milliseconds; null: not at all. */
  readonly wait: number | null;
}

type Given<S extends OptionSpec> = GivenByKind[S['kind']];
export type GivenOptions<O extends OptionSpecs> = { readonly [K in keyof O]: Given<O[K]> };

/** `-q`, one of the words after `-m`, or words such as `interface add`. */
export type CommandCall =
  | { readonly by: 'option'; readonly option: string; readonly short: string; readonly help: string }
  | { readonly by: 'monitor'; readonly word: string }
  | { readonly by: 'words'; readonly words: string };

export interface CommandSpec<O extends OptionSpecs> {
  readonly call: CommandCall;
  /** What follows `rsconfig`: `interface add NAME ADDRESS[/LENGTH] [--port P]`; at most 60 columns a line. */
  readonly synopsis: string;
  /** A few words: what it does. */
  readonly summary: string;
  /** More sentences for `rsconfig COMMAND --help`, in lines of at most 80 columns; blank lines separate paragraphs. */
  readonly details?: string;
  readonly options: O;
  /** What it prints with --json: there exactly when it takes that option. */
  readonly json?: Shape;
  /** How many words it takes besides its own; without this none. */
  readonly operands?: { readonly min: number; readonly max: number };
  /**
   * For the completion: `files`, or a shell command that prints what its words may be. In it `"${ask[@]}"` is rsconfig under
   * the root that was given, and `"$config"` the file.
   */
  readonly completes?: string;
  /** Returns the exit code, 0 when nothing is returned. */
  readonly run: (context: CommandContext, options: GivenOptions<O>, words: readonly string[]) => Promise<number | undefined>;
}

/** A command whose options the table need not know. */
export type Command = Omit<CommandSpec<OptionSpecs>, 'run'> & {
  /** `values`: as parseArgs gave them. */
  readonly run: (context: CommandContext, values: OptionValues, words: readonly string[]) => Promise<number | undefined>;
};

export type OptionValues = Readonly<Record<string, unknown>>;

export const JSON_OPTION = { kind: 'flag', help: 'print JSON' } as const satisfies OptionSpec;
export const VERBOSE_OPTION = { kind: 'count', short: 'v', help: 'show more, with -l, -q and -m status' } as const satisfies OptionSpec;

/** What is waited for is in the help of the command. */
export const WAIT_OPTION = {
  kind: 'wait',
  value: 'T',
  help: `wait at most T until done (--wait=30s; default ${printDuration(WAIT_MS)});\nCtrl-C stops waiting and undoes nothing`,
} as const satisfies OptionSpec;

export function defineCommand<const O extends OptionSpecs>(spec: CommandSpec<O>): Command {
  return {
    ...spec,
    run: (context, values, words) => {
      const given = Object.entries(spec.options).map(([name, { kind }]) => [name, givenValue(kind, values[name])]);
      // The kinds were looked at one by one, which the type cannot see.
      return spec.run(context, Object.fromEntries(given) as GivenOptions<O>, words);
    },
  };
}

function givenValue(kind: OptionSpec['kind'], value: unknown): GivenByKind[OptionSpec['kind']] {
  switch (kind) {
    case 'flag':
      return value === true;
    case 'count':
      return Array.isArray(value) ? value.length : 0;
    case 'text':
      return typeof value === 'string' ? value : null;
    case 'list':
      return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
    case 'wait':
      return typeof value === 'string' ? waitOf(value) : null;
  }
}

function waitOf(text: string): number {
  if (text === '') return WAIT_MS;
  let waitMs: number;
  try {
    waitMs = parseDuration(text);
  } catch {
    waitMs = 0;
  }
  if (waitMs > 0 && waitMs <= WAIT_MAX_MS) return waitMs;
  throw usageError(`Wrong --wait ${text}: give a time such as 30s or 5m, at most ${printDuration(WAIT_MAX_MS)}`);
}

/** How a command is named in sentences: `-q`, `-m status`, `interface add`. */
export function shownCall(call: CommandCall): string {
  if (call.by === 'option') return `-${call.short}`;
  return call.by === 'monitor' ? `-m ${call.word}` : call.words;
}

/** Wrong usage, exit code 2. */
export function usageError(sentence: string): RsError {
  return new RsError('E_USAGE', `${sentence}, see rsconfig --help`);
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}
