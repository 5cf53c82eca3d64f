// What the drills with virtual machines share: needs, options, links, each between two machines, the folder that the guests see, and the report.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Need, program } from '../support/drills/needs.ts';
import { text } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import type { MachineOptions } from './machine.ts';
import { Report } from './report.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const VM_NEEDS: readonly Need[] = [
  program('qemu-system-x86_64', 'qemu-system-x86'),
  program('qemu-img', 'qemu-utils'),
  program('mmdebstrap', 'mmdebstrap'),
  program('mkfs.ext4', 'e2fsprogs'),
];
export const SUITE = text('SUITE', 'trixie', 'release of Debian; the first image needs a mirror of it');
export const FOLDER = text('FOLDER', path.join(tmpdir(), 'rsio-vm-boot'), 'keeps the image and the consoles');

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

/** Plays the first chapter, in which the others are, and tells the scene the checks. */
export async function reported(scene: Scene, first: string, play: (report: Report) => Promise<void>): Promise<void> {
  const report = new Report((what, isSo) => {
    scene.round(what);
    if (!isSo) scene.problems++;
  });
  await report.chapter(first, () => play(report));
}
