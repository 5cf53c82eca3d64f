// Requirements of the demo's steps with block devices, and a message for each missing requirement. The requirements are stricter than
// rsiod's own checks, because the demo starts only steps that it can complete. Invariant: every probe is bounded and changes nothing.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { findTool, missingTool } from '../machine/machine-tools.ts';
import { succeeds } from '../machine/program-run.ts';

export interface Machine {
  readonly isRoot: boolean;
  readonly hasTool: (name: string) => boolean;
  readonly succeeds: (program: string, ...args: readonly string[]) => Promise<boolean>;
  readonly canOpen: (file: string) => boolean;
  readonly knowsFileSystem: (name: string) => boolean;
}

export const THIS_MACHINE: Machine = {
  isRoot: process.geteuid?.() === 0,
  hasTool: (name) => findTool(name) !== null,
  succeeds: async (program, ...args) => {
    const file = findTool(program);
    return file !== null && (await succeeds(file, ...args));
  },
  canOpen: (file) => {
    try {
      closeSync(openSync(file, 'r+'));
      return true;
    } catch {
      return false;
    }
  },
  knowsFileSystem: (name) => readFileSync('/proc/filesystems', 'utf8').split(/\s/).includes(name),
};

/** Returns why this machine cannot have the block devices of the demo, as part of a sentence; null: it can have them. */
export async function whyNoDevices(machine: Machine, bare: boolean): Promise<string | null> {
  if (bare) return '--bare';
  if (!machine.isRoot) return 'devices need root (sudo npm start)';
  const missing = ['mount', 'umount', 'losetup', 'unshare'].find((name) => !machine.hasTool(name));
  if (missing !== undefined) return missingTool(missing);
  if (!(await machine.succeeds('unshare', '--mount', 'true'))) return 'root may not mount here (containers need CAP_SYS_ADMIN)';
  if (!machine.canOpen('/dev/fuse')) return '/dev/fuse cannot be opened (modprobe fuse; containers: --device /dev/fuse)';
  if (!(await machine.succeeds('losetup', '--find'))) return 'no free loop device (modprobe loop)';
  return null;
}

export interface FileSystemNeeds {
  /** Name of the file system in the kernel. */
  readonly name: string;
  readonly tools: readonly string[];
}

/** Returns why a file system cannot be made, mounted or checked on this machine, as part of a sentence; null: all of this is possible. */
export async function whyNoFileSystem(machine: Machine, { name, tools }: FileSystemNeeds): Promise<string | null> {
  const missing = tools.find((tool) => !machine.hasTool(tool));
  if (missing !== undefined) return missingTool(missing);
  const isKnown = machine.knowsFileSystem(name) || (await machine.succeeds('modprobe', '--quiet', name));
  return isKnown ? null : `this kernel has no ${name} (modprobe ${name})`;
}
