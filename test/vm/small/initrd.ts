// The initrd of a small virtual machine, as an archive in the format that the kernel reads (cpio, newc): busybox, the program that runs
// scripts (init), modules of the kernel with the modules that they need, and programs of this machine with their libraries.
// Invariant: the archive is made in memory, and contains no file of a disk that its caller did not ask for.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { programAt } from '@rsio/base/testing/needs';
import { runWell } from '../../support/programs/programs.ts';
import type { Kernel } from './kernel.ts';

const INIT = fileURLToPath(new URL('init', import.meta.url));
const MODE = { FOLDER: 0o040_755, PROGRAM: 0o100_755 } as const;
const END = 'TRAILER!!!';
const PATHS = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

/** `modules`: names, as modprobe takes them. `programs`: names of programs of this machine that are linked dynamically. */
export async function initrd(kernel: Kernel, modules: readonly string[], programs: readonly string[]): Promise<Buffer> {
  const files = new Map([
    ['init', INIT],
    ['bin/busybox', fileOf('busybox')],
  ]);
  const ordered = kernel.withNeeded(modules);
  for (const file of ordered) files.set(`modules/${path.basename(file)}`, file);
  for (const file of (await Promise.all(programs.map(withLibraries))).flat()) files.set(file.slice(1), file);
  const order = ordered.map((file) => `${path.basename(file)}\n`).join('');
  const parts = [
    ...foldersOf([...files.keys()]).map((name) => entry(name, MODE.FOLDER, Buffer.alloc(0))),
    ...[...files].map(([name, file]) => entry(name, MODE.PROGRAM, readFileSync(file))),
    entry('modules/order', MODE.PROGRAM, Buffer.from(order)),
  ];
  return Buffer.concat([...parts, entry(END, 0, Buffer.alloc(0))]);
}

function fileOf(program: string): string {
  const file = programAt(program, PATHS);
  if (file === undefined) throw new Error(`This machine has no ${program}`);
  return file;
}

/** Returns the file of a program, its libraries and the loader. */
async function withLibraries(program: string): Promise<string[]> {
  const file = fileOf(program);
  const said = await runWell('ldd', [file]);
  return [file, ...[...said.matchAll(/(\/\S+) \(0x/g)].map(([, library = '']) => library)];
}

/** Returns all folders of these files, each after the folder that has it. */
function foldersOf(names: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const name of names) {
    const words = path.dirname(name).split('/');
    for (let count = 1; count <= words.length; count++) folders.add(words.slice(0, count).join('/'));
  }
  folders.delete('.');
  return [...folders].toSorted();
}

/** One file: a header of 13 numbers in hexadecimal, the name and the content, both filled up to a multiple of 4 bytes. */
function entry(name: string, mode: number, content: Buffer): Buffer {
  const numbers = [0, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return Buffer.concat([filled(Buffer.from(header)), filled(content)]);
}

function filled(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
