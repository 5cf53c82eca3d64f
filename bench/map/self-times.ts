// Finds the functions of a V8 profile with the most time of their own, as shares of the time in which the process was not idle. Pure. The
// probe (map-probe.ts) takes the profile. The time of a native function includes its system calls.

import type { Profiler } from 'node:inspector';
import { basename } from 'node:path';
import type { FunctionShare } from './probed.ts';

/** Not work of the process: waiting, and the profiler's own start and end. */
const OTHERS = ['(idle)', 'dispatch'];
const MOST = 12;

export function selfTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): FunctionShare[] {
  const names = new Map(nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [id, nameOf(functionName, url, lineNumber)]));
  const times = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? '(unknown)';
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  }
  for (const name of OTHERS) times.delete(name);
  const whole = [...times.values()].reduce((sum, one) => sum + one, 0);
  const shares = [...times].map(([name, time]) => ({ name, share: whole > 0 ? time / whole : 0 }));
  return shares.sort((a, b) => b.share - a.share).slice(0, MOST);
}

/** A profile counts lines from 0. */
function nameOf(functionName: string, url: string, line: number): string {
  if (url === '') return functionName === '' ? '(anonymous)' : functionName;
  return `${functionName === '' ? '(anonymous)' : functionName} ${basename(url)}:${line + 1}`;
}
