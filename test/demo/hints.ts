// Commands that a user can paste into a shell while the demo runs. This file makes only the text; the demo prints the text. Invariant: a
// line to paste contains only installed tools.

import { DOCS, NAMESPACE, SCRATCH } from './config-files.ts';

export interface HintOptions {
  readonly root: string;
  readonly nbdSocket: string;
  readonly docsFile: string;
  readonly hasTool: (name: string) => boolean;
  /** A block device with a file system, and a mount point for it; null: the demo has no block device. */
  readonly disk: { readonly device: string; readonly mountPoint: string } | null;
}

export function nbdUri(volume: string, nbdSocket: string): string {
  return `nbd+unix:///${NAMESPACE}/${volume}?socket=${nbdSocket}`;
}

export function hintLines({ root, nbdSocket, docsFile, hasTool, disk }: HintOptions): string[] {
  const own = ['rsconfig', 'rsconfig -qvvv', 'rsconfig -m stats', 'rsconfig events', 'rsclogcat -f', 'rsslogcat -n 20'].map((line) => {
    const [program = '', ...args] = line.split(' ');
    return [`bin/${program}`, '--root', root, ...args].join(' ');
  });
  const docs = nbdUri(DOCS, nbdSocket);
  const fio = ['fio --name=verify --ioengine=nbd', `--uri='${nbdUri(SCRATCH, nbdSocket)}'`];
  const load = ['--rw=randwrite --bs=8k --iodepth=16 --size=64m --loops=20 --verify=crc32c'];
  const foreign = [
    { tool: 'nbdinfo', debianPackage: 'libnbd-bin', line: `nbdinfo --list 'nbd+unix:///?socket=${nbdSocket}'` },
    { tool: 'qemu-img', debianPackage: 'qemu-utils', line: `qemu-img compare -f raw -F raw '${docs}' ${docsFile}` },
    { tool: 'fio', debianPackage: 'fio', line: [...fio, ...load].join(' ') },
  ];
  const missing = foreign.filter(({ tool }) => !hasTool(tool)).map(({ tool, debianPackage }) => `${tool} (Debian: ${debianPackage})`);
  return [
    ...own,
    ...(disk === null ? [] : [`mount ${disk.device} ${disk.mountPoint} && ls ${disk.mountPoint}/docs`]),
    ...foreign.filter(({ tool }) => hasTool(tool)).map(({ line }) => line),
    ...(missing.length === 0 ? [] : [`# also useful: ${missing.join(', ')}`]),
  ];
}
