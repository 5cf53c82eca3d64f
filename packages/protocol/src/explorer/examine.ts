// Finds out which paths to a server work. Pairs the interfaces and probes the candidates one after another, because simultaneous probes
// would distort the measured rates. Invariant: every interface of both sides is in a report or is left out with a reason.

import type { RsError } from '@rsio/base/lib/errors';
import { considerCandidates } from './candidates.ts';
import type { Finding } from './finding.ts';
import { probeCandidate } from './probe.ts';
import type { Examination, ProbeExpectation, ProbeLocal, ProbeLogin, ProbePorts, ProbeRemote, ProbeReport } from './probe-report.ts';

export interface ExamineOptions {
  readonly locals: readonly ProbeLocal[];
  readonly remotes: readonly ProbeRemote[];
  readonly choice: 'auto' | 'all';
  readonly login: ProbeLogin | null;
  readonly expected: ProbeExpectation;
  readonly ports: ProbePorts;
  /** Called after each candidate. */
  readonly onReport?: (report: ProbeReport, done: number, total: number) => void;
}

/** Probes every candidate. The promise never rejects because of the network or a server. */
export async function examine(options: ExamineOptions): Promise<Examination> {
  const { locals, remotes, choice, login, expected, ports, onReport } = options;
  const { candidates, leftOut } = considerCandidates(locals, remotes, choice);
  const reports: ProbeReport[] = [];
  const once = login === null ? null : { ...login, refusals: new Map<string, RsError>() };
  for (const candidate of candidates) {
    const report = await probeCandidate(candidate, once, expected, ports);
    reports.push(report);
    onReport?.(report, reports.length, candidates.length);
  }
  return { reports, leftOut, findings: oneDevice(reports) };
}

/**
 * Returns a finding if all paths leave through one device although their addresses are on several devices. A single fault of this device
 * would break all paths.
 */
function oneDevice(reports: readonly ProbeReport[]): Finding[] {
  const [first, ...others] = reports.filter(({ leavesBy }) => leavesBy !== null);
  const isMeant = others.every(({ device }) => device === first?.device);
  if (first === undefined || others.length === 0 || isMeant || !others.every(({ leavesBy }) => leavesBy === first.leavesBy)) return [];
  const count = others.length === 1 ? 'Both paths leave' : `All ${others.length + 1} paths leave`;
  return [
    {
      kind: 'wrong-device',
      object: first.leavesBy ?? '',
      count: 1,
      sentence: `${count} by ${first.leavesBy}`,
      remedy: 'give each interface its own subnet, or route by source address: rsconfig doctor shows how',
    },
  ];
}
