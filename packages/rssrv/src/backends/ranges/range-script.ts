// How the range helper is started: helpers/ranges.pl, a program of its own, in perl, which every Debian system has. What it does, and the
// lines that it understands, stand there.

import { helperFile } from '../../sys/helper-files.ts';

/** System call numbers of the architectures where the helper works. */
const CALLS: Readonly<Record<string, { readonly fallocate: number; readonly prctl: number }>> = {
  x64: { fallocate: 285, prctl: 157 },
  arm64: { fallocate: 47, prctl: 167 },
};

/** Arguments for perl, or null: the system call numbers of this architecture are not known. */
export function rangeScriptArguments(architecture: string, parentPid: number): readonly string[] | null {
  const calls = CALLS[architecture];
  if (calls === undefined) return null;
  return [helperFile('ranges.pl'), String(parentPid), String(calls.fallocate), String(calls.prctl)];
}
