// Handles the command line for all programs: options, --root, --help, --version, and exit codes (0 success, 1 failure, 2 wrong usage). An
// error is one line on stderr: `program: what happened: what to do [E_CODE]`. Invariant: an error line contains no control characters, even
// in text from a file, a peer or a person.

import { resolve } from 'node:path';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { errnoName, RsError, toRsError } from '../lib/errors.ts';
import { escapeControls } from '../lib/printable.ts';
import { programVersion } from '../lib/version.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

type Value<O> = O extends { readonly type: 'boolean' } ? boolean : string;
type Values<O extends Options> = {
  readonly [K in keyof O]?: O[K] extends { readonly multiple: true } ? readonly Value<O[K]>[] : Value<O[K]>;
};

export interface ProgramSpec<O extends Options> {
  readonly name: string;
  /**
   * The synopsis and the program's own options for --help, with a newline at the end. The common options are appended to this text. If
   * `help` is a function, the function receives the other command-line arguments and may throw E_USAGE.
   */
  readonly help: string | ((values: Values<O>, words: readonly string[]) => string);
  /** Options in the form that `parseArgs` from node:util expects. */
  readonly options: O;
  /**
   * Options whose value is optional and must follow a `=`. For example, `--wait` (value '') and `--wait=5m` are accepted, but `--wait 5m`
   * is refused.
   */
  readonly bare?: readonly string[];
  readonly takesPositionals: boolean;
}

export interface Invocation<O extends Options> {
  readonly values: Values<O>;
  readonly positionals: readonly string[];
  /** Absolute path of the root directory, the prefix of every path. */
  readonly root: string;
  readonly out: (text: string) => void;
  /** Writes one line to stderr: `program: sentence`. */
  readonly note: (sentence: string) => void;
  /** Writes one line to stderr: `program: message [E_CODE]`. */
  readonly report: (code: string, message: string) => void;
}

/** Returns the exit code; undefined means 0. A thrown error is reported, and the exit code is 2 for E_USAGE and 1 for any other error. */
export type ProgramMain<O extends Options> = (invocation: Invocation<O>) => Promise<number | undefined> | number | undefined;

/** A program's environment, which a test can replace. */
export interface ProgramPorts {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

const FRAME_OPTIONS = { root: { type: 'string' }, help: { type: 'boolean' }, version: { type: 'boolean' } } as const;

const FRAME_HELP = `  --root DIR        prefix of every path (or RSIO_ROOT; default /)
  --help            print this help and exit
  --version         print the version and exit
`;

/**
 * Runs `main` as the program of this process and sets the exit code. If `main` succeeds, the process exits when no timer or socket is open.
 */
export function runProgram<O extends Options>(spec: ProgramSpec<O>, main: ProgramMain<O>): void {
  // EPIPE on stdout means only that the reader has closed the pipe, as `head` does. Ignore errors on stderr, because a daemon must keep
  // running after its terminal has closed.
  process.stdout.on('error', (error) => {
    const errno = errnoName(error);
    if (errno === 'EPIPE') process.exit(process.exitCode ?? 0);
    process.stderr.write(`${spec.name}: Cannot write the output (${errno ?? error.message}): check its destination, such as a full disk\n`);
    process.exit(1);
  });
  process.stderr.on('error', () => {});
  const surroundings: ProgramPorts = {
    argv: process.argv.slice(2),
    env: process.env,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  };
  void executeProgram(spec, main, surroundings).then((code) => {
    process.exitCode = code;
    // Exit explicitly, because a failed daemon's timers and sockets could keep the process running. No output is lost, because writes to
    // files and pipes have already completed.
    if (code !== 0) process.exit();
  });
}

/** Runs `main` in the given environment and returns its exit code. Never rejects. */
export async function executeProgram<O extends Options>(
  spec: ProgramSpec<O>,
  main: ProgramMain<O>,
  surroundings: ProgramPorts,
): Promise<number> {
  const { out, err, env } = surroundings;
  const note = (sentence: string) => err(`${spec.name}: ${escapeControls(sentence)}\n`);
  const report = (code: string, message: string) => note(`${message} [${code}]`);
  try {
    const { values, positionals } = parse(spec, surroundings.argv);
    if (values.help === true) {
      out(`${typeof spec.help === 'string' ? spec.help : spec.help(values as Values<O>, positionals)}${FRAME_HELP}`);
      return 0;
    }
    if (values.version === true) {
      out(`${spec.name} (RSIO) ${programVersion()}\n`);
      return 0;
    }
    const root = rootOf(spec.name, values.root, env['RSIO_ROOT']);
    return (await main({ values: values as Values<O>, positionals, root, out, note, report })) ?? 0;
  } catch (thrown) {
    const error = toRsError(thrown);
    report(error.code, error.message);
    return error.kind === 'usage' ? 2 : 1;
  }
}

interface Parsed {
  readonly values: { readonly root?: string; readonly help?: boolean; readonly version?: boolean };
  readonly positionals: readonly string[];
}

function parse<O extends Options>(spec: ProgramSpec<O>, argv: readonly string[]): Parsed {
  refuseLooseValue(spec.name, argv, spec.bare ?? []);
  try {
    return parseArgs({
      args: withBareValues(argv, spec.bare ?? []),
      options: { ...spec.options, ...FRAME_OPTIONS },
      allowPositionals: spec.takesPositionals,
    });
  } catch (thrown) {
    throw new RsError('E_USAGE', `${usageSentence(thrown)}: see ${spec.name} --help`);
  }
}

/**
 * A number or duration after a `bare` option is probably meant as the option's value. The function parseArgs would accept the number as a
 * positional argument.
 */
const LOOSE_VALUE = /^\d+(ms|s|m|h|d)?$/;

function refuseLooseValue(program: string, argv: readonly string[], bare: readonly string[]): void {
  const end = argv.indexOf('--');
  const words = end < 0 ? argv : argv.slice(0, end);
  for (const [at, word] of words.entries()) {
    const value = words[at + 1] ?? '';
    if (!bare.some((name) => word === `--${name}`) || !LOOSE_VALUE.test(value)) continue;
    throw new RsError(
      'E_USAGE',
      `${word} ${value} is ambiguous: write ${word}=${value} for the value, or put the name ${value} before ${word}; see ${program} --help`,
    );
  }
}

/** Appends `=` to each `bare` option without a value, because parseArgs does not support optional values. */
function withBareValues(argv: readonly string[], bare: readonly string[]): string[] {
  const end = argv.indexOf('--');
  const isBare = (word: string, at: number): boolean => (end < 0 || at < end) && bare.some((name) => word === `--${name}`);
  return argv.map((word, at) => (isBare(word, at) ? `${word}=` : word));
}

/** Patterns for Node's messages about wrong command lines, with our replacements. */
const USAGE_SENTENCES: readonly (readonly [nodes: RegExp, ours: string])[] = [
  [/^Unknown option '([^']*)'/, 'Unknown option $1'],
  [/^Unexpected argument '([^]*)'\. This command/, 'Unexpected argument $1'],
  [/^Option '([^']*?)(?: <value>)?' argument missing/, 'Option $1 needs a value'],
  [/^Option '([^']*?)(?: <value>)?' argument is ambiguous/, 'The value of option $1 is missing, or begins with a dash and must follow a ='],
  [/^Option '([^']*)' does not take an argument/, 'Option $1 takes no value'],
];

function usageSentence(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  for (const [nodes, ours] of USAGE_SENTENCES) {
    const [found] = nodes.exec(text) ?? [];
    if (found !== undefined) return found.replace(nodes, ours);
  }
  // Use only the first sentence of an unknown message from Node; the other sentences give advice that does not apply here.
  const [sentence = text] = text.split(/\.\s/, 1);
  return sentence.replace(/\.$/, '').replaceAll("'", '');
}

function rootOf(name: string, option: string | undefined, variable: string | undefined): string {
  if (option === '') throw new RsError('E_USAGE', `--root is empty: name a folder, see ${name} --help`);
  return resolve(option ?? (variable === undefined || variable === '' ? '/' : variable));
}
