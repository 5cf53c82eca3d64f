// Runs commands (rsconfig, rsadm) in the process of the test: starting a program takes a fifth of a second of processor time, mostly for
// loading modules that this process has already loaded. The commands come from the build (scripts/bundle.mjs), like the programs
// themselves. Commands that need their own process are refused. commands.test.ts starts all programs as processes. Invariant: as with
// programs.ts, a command has no terminal, no input and no signals.

import { createRequire } from 'node:module';
import type { executeProgram, Invocation, ProgramSpec } from '@rsio/base/daemon/arguments';
import type { RunResult } from './programs.ts';

type Spec = ProgramSpec<Record<string, { readonly type: 'string' }>>;

/** The exports of the bundle with the commands. */
interface Commands {
  readonly executeProgram: typeof executeProgram;
  readonly programs: Readonly<Record<string, Program>>;
}

interface Program {
  readonly spec: Spec;
  readonly main: (invocation: Invocation<Spec['options']>, ports: object) => Promise<number | undefined>;
  readonly ports: () => object;
}

const BUNDLE = '../../dist/support/programs/commands.cjs';
/**
 * Commands that need their own process: each of them starts programs that must end with it, is ended by signals, or finds other programs by
 * the location of its own file.
 */
const OWN_PROCESS: ReadonlySet<string> = new Set(['backup', 'doctor', 'freeze', 'join', 'restore', 'watch']);
const NOT_A_PERSON = {
  ask: null,
  input: () => Promise.resolve(''),
  waiting: { progress: null, onStop: () => () => undefined },
};

let loaded: Commands | undefined;

/**
 * Whether a command can run in this process. Outside of Vitest, no command can run here: the measuring programs in test/ must run the real
 * programs.
 */
export function canRunHere(program: string, args: readonly string[]): boolean {
  return (
    '__vitest_worker__' in globalThis && (program === 'rsconfig' || program === 'rsadm') && !args.some((word) => OWN_PROCESS.has(word))
  );
}

/** Runs the command to its end. After `timeoutMs`, the result says that the time is over, although the command may still be running. */
export async function runHere(program: string, argv: readonly string[], timeoutMs: number): Promise<RunResult> {
  loaded ??= createRequire(import.meta.url)(BUNDLE) as Commands;
  const { executeProgram, programs } = loaded;
  const { spec, main, ports } = programs[program]!;
  const startMs = performance.now();
  const texts = { stdout: '', stderr: '' };
  const ended = executeProgram(spec, (invocation) => main(invocation, { ...ports(), ...NOT_A_PERSON }), {
    argv,
    env: process.env,
    out: (text) => void (texts.stdout += text),
    err: (text) => void (texts.stderr += text),
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs);
  });
  const code = await Promise.race([ended, late]);
  clearTimeout(timer);
  const signal = code === null ? 'SIGKILL' : null;
  return { code, signal, ...texts, timedOut: code === null, elapsedMs: performance.now() - startMs };
}
