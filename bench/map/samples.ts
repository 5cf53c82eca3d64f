// Where the CPU time of processes goes while something runs: samples of `perf record`, sorted into a few kinds by symbol and file. The
// kernel's own split of a process's time is useless here: on loopback, a send also runs the receiving side, and the kernel attributes this
// time to neither part.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as after } from 'node:timers/promises';

export const SAMPLE_KINDS = ['kernelCopies', 'kernel', 'copies', 'javascript', 'native'] as const;
export type SampleKind = (typeof SAMPLE_KINDS)[number];
/** The share of the CPU time that each kind of code has. */
export type Shares = Readonly<Record<SampleKind, number>>;

const BEGIN_MS = 300;
const HERTZ = '1999';
/** Least number of samples, because fewer samples give no useful shares. */
const LEAST = 100;
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;
/** Addresses of the kernel are the highest. */
const KERNEL = /^\s*f{6}/;
const KERNEL_COPY = /copy_user|rep_movs|_copy_(?:to|from)_iter|copy_page|memcpy/;
const COPY = /\b_*mem(?:move|cpy)/;

/** Returns the shares during `load`; null: there were too few samples. `file`: where perf writes its samples. */
export async function samplesDuring(pids: readonly number[], file: string, load: () => Promise<void>): Promise<Shares | null> {
  const args = ['record', '-q', '-e', 'cpu-clock', '-F', HERTZ, '-o', file, '-p', pids.join(',')];
  const perf = spawn('perf', args, { stdio: 'ignore' });
  const ended = once(perf, 'exit');
  await after(BEGIN_MS);
  await load();
  perf.kill('SIGINT');
  await ended;
  const { stdout } = spawnSync('perf', ['script', '-i', file, '-F', 'ip,sym,dso'], { encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
  return sharesIn(stdout);
}

/**
 * Returns the shares in the output of `perf script -F ip,sym,dso`. Each line has an address, a symbol and a file in brackets. Returns null
 * if there are too few samples.
 */
export function sharesIn(text: string, least = LEAST): Shares | null {
  const counts: Record<SampleKind, number> = { kernelCopies: 0, kernel: 0, copies: 0, javascript: 0, native: 0 };
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length < least) return null;
  for (const line of lines) counts[kindOf(line)]++;
  const share = (kind: SampleKind): number => counts[kind] / lines.length;
  return {
    kernelCopies: share('kernelCopies'),
    kernel: share('kernel'),
    copies: share('copies'),
    javascript: share('javascript'),
    native: share('native'),
  };
}

function kindOf(line: string): SampleKind {
  if (KERNEL.test(line)) return KERNEL_COPY.test(line) ? 'kernelCopies' : 'kernel';
  if (COPY.test(line)) return 'copies';
  // Compiled code lies in memory that belongs to no file; built-in functions of V8 have this prefix.
  if (line.includes('Builtins_') || /\((?:\/\/anon|\[unknown\]|[^)]*perf-\d+\.map)\)/.test(line)) return 'javascript';
  return 'native';
}
