// Runs commands (rsconfig, rsadm) in the process of the test: the start of a program costs a fifth of a second of processor time, most of it
// for loading what this process has loaded before. The modules are those of the build (scripts/bundle.mjs), as for the programs themselves.
// Commands that need a process of their own are refused, and commands.test.ts starts all programs. Invariant: as when programs.ts runs it, a
// command has no terminal, no input and no signals.

import { createRequire } from 'node:module';
import type { executeProgram, Invocation, ProgramSpec } from '@rsio/common/daemon/arguments';
import type { RunResult } from './programs.ts';

type Spec = ProgramSpec<Record<string, { readonly type: 'string' }>>;

/** What the bundle has. */
interface Commands {
  readonly executeProgram: typeof executeProgram;
  readonly programs: Readonly<Record<string, Program>>;
}

interface Program {
  readonly spec: Spec;
  readonly main: (invocation: Invocation<Spec['options']>, ports: object) => Promise<number | undefined>;
  /** Those of a process. */
  readonly ports: () => object;
}

const BUNDLE = '../../dist/support/programs/commands.cjs';
/** They start programs that must end with them, are ended by signals, or find other programs by their own place. */
const OWN_PROCESS: ReadonlySet<string> = new Set(['backup', 'doctor', 'freeze', 'join', 'restore', 'watch']);
const NOT_A_PERSON = {
  ask: null,
  input: () => Promise.resolve(''),
  waiting: { progress: null, onStop: () => () => undefined },
};

let loaded: Commands | undefined;

/** Whether it can run here: only in a process of Vitest, because the programs in test/ measure what people start. */
export function canRunHere(program: string, args: readonly string[]): boolean {
  return (
    '__vitest_worker__' in globalThis && (program === 'rsconfig' || program === 'rsadm') && !args.some((word) => OWN_PROCESS.has(word))
  );
}

/** Runs the command to its end. After `timeoutMs` the result says so, although the command may still be running. */
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
