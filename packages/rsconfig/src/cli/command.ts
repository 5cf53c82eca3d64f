// Defines the type of an rsconfig command (name, options, operands, help and action) and the context that its action receives. The table in
// command-table.ts lists all commands for the parser, the help and the bash completion. A command calls the daemon, reads stdin and prints
// through functions of the context, which tests can replace. Invariant: a command receives only the options that it declares, and each
// value has the type that belongs to the option's kind.

import type { RsiodPaths } from '@rsio/common/config/root-paths';
import type { ControlMethodName, ControlMethods } from '@rsio/common/control/methods';
import type { Shape } from '@rsio/common/control/shape';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { parseDuration, printDuration } from '@rsio/common/lib/units';
import { WAIT_MAX_MS, WAIT_MS } from './limits.ts';
import type { WaitingPorts } from './waiting.ts';

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
  /** How long to wait, in milliseconds; null if the command line does not contain the option. */
  readonly wait: number | null;
}

type Given<S extends OptionSpec> = GivenByKind[S['kind']];
export type GivenOptions<O extends OptionSpecs> = { readonly [K in keyof O]: Given<O[K]> };

/** How the user calls a command: with an option such as `-q`, with a word after `-m`, or with words such as `interface add`. */
export type CommandCall =
  | { readonly by: 'option'; readonly option: string; readonly short: string; readonly help: string }
  | { readonly by: 'monitor'; readonly word: string }
  | { readonly by: 'words'; readonly words: string };

export interface CommandSpec<O extends OptionSpecs> {
  readonly call: CommandCall;
  /** Usage without the word `rsconfig`, such as `interface add NAME ADDRESS[/LENGTH] [--port P]`, in lines of at most 60 columns. */
  readonly synopsis: string;
  readonly summary: string;
  /** Description that `rsconfig COMMAND --help` prints, in lines of at most 80 columns; blank lines separate paragraphs. */
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
  readonly run: (context: CommandContext, options: GivenOptions<O>, words: readonly string[]) => Promise<number | undefined>;
}

/** A command in the command table, without the types of its options. */
export type Command = Omit<CommandSpec<OptionSpecs>, 'run'> & {
  readonly run: (context: CommandContext, values: OptionValues, words: readonly string[]) => Promise<number | undefined>;
};

export type OptionValues = Readonly<Record<string, unknown>>;

export const JSON_OPTION = { kind: 'flag', help: 'print JSON' } as const satisfies OptionSpec;
export const VERBOSE_OPTION = {
  kind: 'count',
  short: 'v',
  help: 'with -l, -q and -m status: show more details',
} as const satisfies OptionSpec;

/** The option --wait of several commands; the help of each command says what the command waits for. */
export const WAIT_OPTION = {
  kind: 'wait',
  value: 'T',
  help: `wait at most T, such as 30s, for completion;\ndefault: ${printDuration(WAIT_MS)}; Ctrl-C stops the wait but undoes nothing`,
} as const satisfies OptionSpec;

export function defineCommand<const O extends OptionSpecs>(spec: CommandSpec<O>): Command {
  return {
    ...spec,
    run: (context, values, words) => {
      const given = Object.entries(spec.options).map(([name, { kind }]) => [name, givenValue(kind, values[name])]);
      // The cast is safe: givenValue returns the type of the option's kind, but the compiler cannot infer that type.
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

/** The command's name in messages: `-q`, `-m status`, `interface add`. */
export function shownCall(call: CommandCall): string {
  if (call.by === 'option') return `-${call.short}`;
  return call.by === 'monitor' ? `-m ${call.word}` : call.words;
}

/** Makes an E_USAGE error. An E_USAGE error makes the program exit with status 2. */
export function usageError(sentence: string): RsError {
  return new RsError('E_USAGE', `${sentence}, see rsconfig --help`);
}

/** Joins words into a list such as `a, b and c` or `a, b or c`; `last` is the conjunction. */
export function listed(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

export interface CommandContext {
  /** Calls the daemon. The default time-out is long enough for measuring paths; a command that must not wait that long sets `timeoutMs`. */
  readonly call: <M extends ControlMethodName>(
    method: M,
    params: ControlMethods[M]['params'],
    timeoutMs?: number,
  ) => Promise<ControlMethods[M]['result']>;
  readonly clock: Clock;
  readonly waiting: WaitingPorts;
  /** Reads all of stdin. */
  readonly input: () => Promise<string>;
  /** Names of rsiod's files, below the root directory given on the command line. */
  readonly paths: RsiodPaths;
  readonly configFile: string;
  readonly out: (text: string) => void;
  readonly note: (sentence: string) => void;
  readonly report: (code: string, message: string) => void;
}

/** Prints the daemon's answer as JSON, unchanged, for --json. */
export function printJson(context: CommandContext, result: unknown): undefined {
  context.out(`${JSON.stringify(result, null, 2)}\n`);
}
