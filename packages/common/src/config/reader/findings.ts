// Collects the problems and warnings that are found in a configuration file. All problems are collected before the file is refused, so that
// the administrator can correct them all at once. Invariant: a file with a problem never yields a configuration. Messages never show secret
// keys.

import { RsError } from '@rsio/base/lib/errors';
import { type KeyDemand, shortKey } from './short-keys.ts';
import type { ConfigWarning } from '../schema/types.ts';

export interface ConfigProblem {
  /** Line number, counted from 1; 0 if the problem concerns the whole file. */
  readonly line: number;
  /** Message in the form `what is wrong: what is allowed`. */
  readonly message: string;
}

export class Findings {
  readonly file: string;
  readonly #problems: ConfigProblem[] = [];
  readonly #warnings: ConfigWarning[] = [];

  constructor(file: string) {
    this.file = file;
  }

  problem(line: number, message: string): void {
    this.#problems.push({ line, message });
  }

  warn(line: number, message: string): void {
    this.#warnings.push({ file: this.file, line, message });
  }

  /** Reports a short `key`: as a problem if `demand` is given, otherwise as a warning. `what` names the key in the message. */
  checkLength(line: number, what: string, key: string | null, demand: KeyDemand | null = null): void {
    const short = key === null ? null : shortKey(what, key, demand);
    if (short?.isRefused === true) this.problem(line, short.message);
    else if (short !== null) this.warn(line, short.message);
  }

  get warnings(): readonly ConfigWarning[] {
    return this.#warnings.toSorted((left, right) => left.line - right.line);
  }

  /** The problems are sorted by line number; problems that concern the whole file come last. */
  get problems(): readonly ConfigProblem[] {
    const position = ({ line }: ConfigProblem): number => (line === 0 ? Number.MAX_SAFE_INTEGER : line);
    return this.#problems.toSorted((left, right) => position(left) - position(right));
  }

  /** Throws E_CONFIG with `context` {file, problems} if at least one problem has been collected. */
  throwIfAny(): void {
    throwProblems(this.file, this.problems);
  }
}

/** Throws E_CONFIG with `context` {file, problems} if `problems` is not empty. */
export function throwProblems(file: string, problems: readonly ConfigProblem[]): void {
  const first = problems[0];
  if (first === undefined) return;
  throw new RsError('E_CONFIG', `${placeOf(file, first.line)}: ${first.message}`, { file, problems });
}

function placeOf(file: string, line: number): string {
  return line === 0 ? file : `${file}:${line}`;
}

/** Returns one text per problem that the error lists, with file and line. If the error lists no problems, returns the error's message. */
export function problemTexts({ message, context }: RsError): string[] {
  const { file, problems } = context;
  if (!Array.isArray(problems)) return [message];
  return problems.map((problem: string | ConfigProblem) =>
    typeof problem === 'string' ? problem : `${placeOf(String(file), problem.line)}: ${problem.message}`,
  );
}

/** Reports values that must be unique (such as names and addresses) but occur more than once. */
export class Uniques {
  readonly #findings: Findings;
  readonly #lines = new Map<string, number>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** If `key` is already claimed, adds the problem `Duplicate WHAT (first in line N): REMEDY`. */
  claim(key: string, line: number, what: string, remedy: string): void {
    const first = this.#lines.get(key);
    if (first === undefined) this.#lines.set(key, line);
    else this.#findings.problem(line, `Duplicate ${what} (first in line ${first}): ${remedy}`);
  }
}
