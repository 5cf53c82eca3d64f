// Defines a command of rsconfig: its name, options, operands, help and action, and the context that the action works with. command-table.ts
// lists all commands; the command line (args.ts), the help (help.ts) and the completion are generated from that list. Commands know neither
// sockets nor the process, so that tests can supply their own. Invariant: a command receives only its own options, each with the type of
// its kind.

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
   * `flag`: present or absent; `count`: the number of occurrences; `text`: one value; `list`: one value for each occurrence; `wait`: an
   * optional duration, as in `--wait` or `--wait=5m`.
   */
  readonly kind: 'flag' | 'count' | 'text' | 'list' | 'wait';
  readonly short?: string;
  /** Placeholder of the value in the help: `S` in `--server S`. */
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
  /** How long to wait, in milliseconds; null if the command must not wait. */
  readonly wait: number | null;
}

type Given<S extends OptionSpec> = GivenByKind[S['kind']];
export type GivenOptions<O extends OptionSpecs> = { readonly [K in keyof O]: Given<O[K]> };

/** How a command is named on the command line: `-q`, a word after `-m`, or words such as `interface add`. */
export type CommandCall =
  | { readonly by: 'option'; readonly option: string; readonly short: string; readonly help: string }
  | { readonly by: 'monitor'; readonly word: string }
  | { readonly by: 'words'; readonly words: string };

export interface CommandSpec<O extends OptionSpecs> {
  readonly call: CommandCall;
  /** The text after `rsconfig`: `interface add NAME ADDRESS[/LENGTH] [--port P]`, in lines of at most 60 columns. */
  readonly synopsis: string;
  /** The purpose in a few words. */
  readonly summary: string;
  /** The description in `rsconfig COMMAND --help`, in lines of at most 80 columns; blank lines separate paragraphs. */
  readonly details?: string;
  readonly options: O;
  /** Shape of the command's output with --json; absent if the command does not take that option. */
  readonly json?: Shape;
  /** Number of operands; absent if the command takes none. */
  readonly operands?: { readonly min: number; readonly max: number };
  /**
   * What bash offers as completions of an operand: `files`, or the output of this shell command. In the command, `"${ask[@]}"` runs
   * rsconfig with the given root, and `"$config"` is the configuration file.
   */
  readonly completes?: string;
  /** Returns the exit code; undefined means 0. */
  readonly run: (context: CommandContext, options: GivenOptions<O>, words: readonly string[]) => Promise<number | undefined>;
}

/** A command as stored in the table, without the types of its options. */
export type Command = Omit<CommandSpec<OptionSpecs>, 'run'> & {
  /** `values`: the result of parseArgs. */
  readonly run: (context: CommandContext, values: OptionValues, words: readonly string[]) => Promise<number | undefined>;
};

export type OptionValues = Readonly<Record<string, unknown>>;

export const JSON_OPTION = { kind: 'flag', help: 'print JSON' } as const satisfies OptionSpec;
export const VERBOSE_OPTION = { kind: 'count', short: 'v', help: 'with -l, -q and -m status: show more' } as const satisfies OptionSpec;

/** The option --wait of several commands. The help of each command says what that command waits for. */
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
      // Each value has the type of its option's kind, which the compiler cannot infer.
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

/** An E_USAGE error; the program exits with 2. */
export function usageError(sentence: string): RsError {
  return new RsError('E_USAGE', `${sentence}, see rsconfig --help`);
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

export interface CommandContext {
  /** Calls the daemon. A command sets `timeoutMs` if it must not wait for as long as a measurement may take. */
  readonly call: <M extends ControlMethodName>(
    method: M,
    params: ControlMethods[M]['params'],
    timeoutMs?: number,
  ) => Promise<ControlMethods[M]['result']>;
  readonly clock: Clock;
  readonly waiting: WaitingPorts;
  /** Reads all of stdin. */
  readonly input: () => Promise<string>;
  /** Paths of rsiod under the given root. */
  readonly paths: RsiodPaths;
  readonly configFile: string;
  readonly out: (text: string) => void;
  readonly note: (sentence: string) => void;
  readonly report: (code: string, message: string) => void;
}

/** Prints a result for `--json`: the daemon's answer, unchanged. */
export function printJson(context: CommandContext, result: unknown): undefined {
  context.out(`${JSON.stringify(result, null, 2)}\n`);
}
