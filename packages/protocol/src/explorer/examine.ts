// Finds out which paths to a server work: pairs the interfaces, probes one candidate after the other (rates must not disturb each other),
// and gives a reason for everything that is left out.

import { RsError } from '../lib/errors.ts';
import type { Examination, ProbeExpectation, ProbeLocal, ProbeLogin, ProbePorts, ProbeRemote, ProbeReport } from './probe-report.ts';

export interface ExamineOptions {
  readonly locals: readonly ProbeLocal[];
  /** The interfaces of one server. */
  readonly remotes: readonly ProbeRemote[];
  readonly choice: 'auto' | 'all';
  readonly login: ProbeLogin | null;
  readonly expected: ProbeExpectation;
  readonly ports: ProbePorts;
  /** Called after each candidate. */
  readonly onReport?: (report: ProbeReport, done: number, total: number) => void;
}

export function examine(options: ExamineOptions): Promise<Examination> {
  return Promise.reject(new RsError('E_NOT_BUILT', `Examining ${options.remotes.length} interfaces is not in this version`));
}
