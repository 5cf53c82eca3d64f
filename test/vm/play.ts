// What the programs with three virtual machines share: links, each between two machines, the folder that the guests see, and the frame of a
// run. Invariant: if a program of this machine is missing, nothing is done, and the missing one is named.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isProgramThere } from '@rsio/base/testing/needs';
import type { MachineOptions } from './machine.ts';
import { Report } from './report.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Programs of this machine, and their Debian packages. */
const NEEDED = { 'qemu-system-x86_64': 'qemu-system-x86', 'qemu-img': 'qemu-utils', mmdebstrap: 'mmdebstrap' };

/** A cable between two machines. `ends`: the names of the machines. */
export interface Cable {
  readonly number: number;
  readonly ends: readonly [string, string];
}

/** The cards of a machine, one for each of its cables. `folder`: where their sockets are. */
export function cardsOf(name: string, cables: readonly Cable[], folder: string): MachineOptions['cards'] {
  return cables
    .filter(({ ends }) => ends.includes(name))
    .map(({ ends, number }) => {
      const end = ends.indexOf(name);
      const socket = (one: number): string => path.join(folder, `link${number}-${one}`);
      return { ours: socket(end), theirs: socket(1 - end), mac: macOf(number, end) };
    });
}

export function macOf(number: number, end: number): string {
  return `52:54:00:00:0${number}:0${end}`;
}

/** Puts the packages of this checkout and the programs of the guests into the folder that the guests see. */
export function fillShare(share: string): void {
  rmSync(share, { recursive: true, force: true });
  mkdirSync(share, { recursive: true });
  execFileSync(process.execPath, [path.join(ROOT, 'scripts/package.mjs'), '--out', path.join(share, 'packages')], { stdio: 'ignore' });
  cpSync(path.join(ROOT, 'test/vm/guest'), share, { recursive: true });
}

/** Runs `play` and sets the exit code. If the help is requested or a program is missing, prints the help or the missing programs. */
export async function runPlay(help: string, isHelp: boolean, play: (report: Report) => Promise<void>): Promise<void> {
  // On a signal, the process must exit, because the virtual machines end together with this process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const missing = Object.entries(NEEDED).filter(([program]) => !isProgramThere(program));
  if (isHelp) process.stdout.write(help);
  else if (missing.length > 0)
    process.stdout.write(`Skipped: this machine has no ${missing.map(([program, name]) => `${program} (package ${name})`).join(', ')}\n`);
  else {
    const report = new Report();
    await report.chapter('boot of all machines', () => play(report));
    process.exitCode = report.end();
  }
}
