// Defines the type of a command of rsconfig or rsadm (name, options, operands, help and action). Each program's command-table.ts lists all
// commands for the parser, the help and the bash completion. A command reaches the daemon, stdin and stdout only through its context, which
// tests replace. Invariant: a command receives only the options that it declares, with values of the declared kinds.

import type { Shape } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { parseDuration, printDuration } from '@rsio/base/lib/units';
import { WAIT_MAX_MS, WAIT_MS } from './limits.ts';

export interface OptionSpec {
  /**
   * `flag`: present or absent; `count`: the number of occurrences; `text`: one value; `list`: one value for each occurrence; `wait`: a
   * duration that may be omitted (`--wait` or `--wait=5m`).
   */
  readonly kind: 'flag' | 'count' | 'text' | 'list' | 'wait';
  readonly short?: string;
  /** Placeholder for the option's value in the help, such as `S` in `--server S`. */
  readonly value?: string;
  /** Text for --help, in lines of at most 60 columns. */
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

interface GivenByKind {
  readonly flag: boolean;
  readonly count: number;
  readonly text: string | null;
  readonly list: readonly string[];
  /** Time to wait in ms; null if the command line does not contain the option. */
  readonly wait: number | null;
}

type Given<S extends OptionSpec> = GivenByKind[S['kind']];
export type GivenOptions<O extends OptionSpecs> = { readonly [K in keyof O]: Given<O[K]> };

/** How the user calls a command: with an option such as `-q`, with a word after `-m`, or with words such as `interface add`. */
export type CommandCall =
  | { readonly by: 'option'; readonly option: string; readonly short: string; readonly help: string }
  | { readonly by: 'monitor'; readonly word: string }
  | { readonly by: 'words'; readonly words: string };

/** `C`: the context that the program passes to the action. */
export interface CommandSpec<O extends OptionSpecs, C> {
  readonly call: CommandCall;
  /** Usage without the name of the program, such as `interface add NAME ADDRESS[/LENGTH] [--port P]`, in lines of at most 60 columns. */
  readonly synopsis: string;
  readonly summary: string;
  /** Description that `COMMAND --help` prints, in lines of at most 80 columns; blank lines separate paragraphs. */
  readonly details?: string;
  readonly options: O;
  /** Shape of the JSON that the command prints with --json; absent if the command has no option --json. */
  readonly json?: Shape;
  readonly operands?: { readonly min: number; readonly max: number };
  /**
   * Completions for an operand: `files` for file names, or a shell command that prints the completions. In the shell command, `"${ask[@]}"`
   * runs rsconfig with the given root directory, and `"$config"` is the configuration file.
   */
  readonly completes?: string;
  /** Returns the exit code; undefined means 0. */
  readonly run: (context: C, options: GivenOptions<O>, words: readonly string[]) => Promise<number | undefined>;
}

/** A command as the command table stores it, without the types of its options. */
export type Command<C> = Omit<CommandSpec<OptionSpecs, C>, 'run'> & {
  /** The parameter `values` has the option values that parseArgs returned. */
  readonly run: (context: C, values: OptionValues, words: readonly string[]) => Promise<number | undefined>;
};

export type OptionValues = Readonly<Record<string, unknown>>;

export const JSON_OPTION = { kind: 'flag', help: 'print JSON' } as const satisfies OptionSpec;
export const VERBOSE_OPTION = {
  kind: 'count',
  short: 'v',
  help: 'with -l, -q and -m status: show more details',
} as const satisfies OptionSpec;

/** The option --wait, which several commands have. The help of each command says what the command waits for. */
export const WAIT_OPTION = {
  kind: 'wait',
  value: 'T',
  help: `wait at most T, such as 30s, for completion;\ndefault: ${printDuration(WAIT_MS)}; Ctrl-C stops the wait but undoes nothing`,
} as const satisfies OptionSpec;

/** `program`: the name of the program, for errors about option values. */
export function makeCommand<const O extends OptionSpecs, C>(program: string, spec: CommandSpec<O, C>): Command<C> {
  return {
    ...spec,
    run: (context, values, words) => {
      const given = Object.entries(spec.options).map(([name, { kind }]) => [name, givenValue(kind, values[name], program)]);
      // The cast is safe because givenValue returns the type that belongs to the option's kind; the compiler cannot infer this.
      return spec.run(context, Object.fromEntries(given) as GivenOptions<O>, words);
    },
  };
}

function givenValue(kind: OptionSpec['kind'], value: unknown, program: string): GivenByKind[OptionSpec['kind']] {
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
      return typeof value === 'string' ? parseWait(value, program) : null;
  }
}

/** Parses the value of --wait; returns ms. Throws E_USAGE. */
export function parseWait(text: string, program: string): number {
  if (text === '') return WAIT_MS;
  let waitMs: number;
  try {
    waitMs = parseDuration(text);
  } catch {
    waitMs = 0;
  }
  if (waitMs > 0 && waitMs <= WAIT_MAX_MS) return waitMs;
  throw usageError(`Wrong --wait ${text}: give a time such as 30s or 5m, at most ${printDuration(WAIT_MAX_MS)}`, program);
}

/** Returns the command's name for messages, such as `-q`, `-m status` or `interface add`. */
export function shownCall(call: CommandCall): string {
  if (call.by === 'option') return `-${call.short}`;
  return call.by === 'monitor' ? `-m ${call.word}` : call.words;
}

/** Makes an E_USAGE error, with which the program exits with status 2. */
export function usageError(sentence: string, program: string): RsError {
  return new RsError('E_USAGE', `${sentence}, see ${program} --help`);
}

/** Joins words into a list such as `a, b and c` or `a, b or c`; `last` is the conjunction. */
export function listed(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

/** The function of a command's context that prints. */
export interface Output {
  readonly out: (text: string) => void;
}

/** Prints the daemon's answer as JSON, unchanged, for --json. */
export function printJson(context: Output, result: unknown): undefined {
  context.out(`${JSON.stringify(result, null, 2)}\n`);
}
