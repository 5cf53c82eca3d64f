// One step of the demo: it makes a file system on the block device of an attached volume and uses the file system like any other. The step
// also uses the raw device of the volume. The demo attaches the volume. Invariant: the step may be aborted at any time; device-release.ts
// then unmounts the file systems.

import { mkdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type FileSystemNeeds, THIS_MACHINE, whyNoFileSystem } from './device-needs.ts';
import type { FileSystem } from './file-systems.ts';
import { findTool, missingTool } from '../machine/machine-tools.ts';
import type { Screen } from '../machine/screen.ts';
import type { Shell } from '../machine/shell.ts';

const MIB = 1 << 20;
/** Size of the file that is written, deleted and trimmed. */
const LARGE_MIB = 24;
/** Size of the copy of the beginning of the raw device. No volume is smaller than this. */
const RAW_MIB = 64;
const COLUMNS = 'NAME,SIZE,RO,LOG-SEC,PHY-SEC,DISC-GRAN';

export interface BlockDeviceOptions {
  readonly shell: Shell;
  readonly screen: Screen;
  readonly fileSystem: FileSystem;
  readonly device: string;
  readonly rawDevice: string;
  /** File of the volume on the server. */
  readonly file: string;
  /** Folder of the checkout that is copied to the file system. */
  readonly tree: string;
  /** Folder of the demo for a mount point and a copy. */
  readonly folder: string;
}

export function mountPointOf(folder: string, { volume }: FileSystem): string {
  return join(folder, 'mnt', volume);
}

export class BlockDeviceStep {
  private readonly options: BlockDeviceOptions;
  private readonly mountPoint: string;

  constructor(options: BlockDeviceOptions) {
    this.options = options;
    this.mountPoint = mountPointOf(options.folder, options.fileSystem);
  }

  /** Runs the step. If the machine lacks a requirement, prints the reason, skips the step, and returns false. */
  async run(): Promise<boolean> {
    const { screen, fileSystem, tree, device } = this.options;
    const why = await whyNoFileSystem(THIS_MACHINE, this.needs());
    if (why !== null) {
      screen.line(`Skipped: ${why}`);
      return false;
    }
    const [make, ...words] = fileSystem.make;
    await this.look();
    await this.tool(make, ...words, device);
    await this.mount();
    await this.tool('cp', '-r', tree, this.mountPoint);
    await this.quietly('dd', 'if=/dev/urandom', `of=${join(this.mountPoint, 'large')}`, 'bs=1M', `count=${LARGE_MIB}`);
    await this.unmount();
    await this.compareRaw();
    await this.mount();
    await this.tool('diff', '-r', tree, join(this.mountPoint, basename(tree)));
    screen.good('The tree is unchanged after its way through the server');
    await this.trim();
    await this.unmount();
    await this.check();
    return true;
  }

  private needs(): FileSystemNeeds {
    const { name, make, check } = this.options.fileSystem;
    return { name, tools: [make[0], check[0], 'cp', 'dd', 'diff', 'cmp', 'rm'] };
  }

  private async look(): Promise<void> {
    const { device, rawDevice } = this.options;
    await this.toolIfThere('ls', '-l', rawDevice, device);
    await this.toolIfThere('blockdev', '--getsize64', device);
    await this.toolIfThere('lsblk', '-o', COLUMNS, readlinkSync(device));
  }

  private async mount(): Promise<void> {
    mkdirSync(this.mountPoint, { recursive: true });
    await this.tool('mount', this.options.device, this.mountPoint);
  }

  private async unmount(): Promise<void> {
    await this.tool('umount', this.mountPoint);
  }

  /** Compares the raw device with the server's file. Reads of the raw device bypass every cache of this machine. */
  private async compareRaw(): Promise<void> {
    const { screen, rawDevice, file, folder } = this.options;
    const copy = join(folder, 'raw.img');
    const said = await this.quietly('dd', `if=${rawDevice}`, `of=${copy}`, 'bs=1M', `count=${RAW_MIB}`);
    screen.line(lastLine(said));
    await this.tool('cmp', '-n', String(RAW_MIB * MIB), copy, file);
    screen.good(`The first ${RAW_MIB} MiB of the raw device equal the server's file, byte for byte`);
    await this.tool('rm', copy);
  }

  /** Checks that deleted and trimmed blocks become holes in the server's file, if its file system supports holes. */
  private async trim(): Promise<void> {
    const { shell, screen, device, file } = this.options;
    await this.tool('rm', join(this.mountPoint, 'large'));
    const fstrim = findTool('fstrim');
    if (fstrim === null) {
      screen.line(`Skipped: ${missingTool('fstrim')}`);
      return;
    }
    if (!canDiscard(device)) {
      screen.line('Skipped: fstrim, because the server cannot punch holes in its file (this needs a file system with holes)');
      return;
    }
    // Unmounts the file system first, because deleted blocks become free only when the file system has written the deletion to the device.
    await this.unmount();
    await this.mount();
    const before = takenMib(file);
    await shell.tool(fstrim, '-v', this.mountPoint);
    screen.line(`${file} takes ${takenMib(file)} MiB of the server's disk (before: ${before} MiB)`);
  }

  private async check(): Promise<void> {
    const { screen, fileSystem, device } = this.options;
    const [check, ...words] = fileSystem.check;
    const said = await this.quietly(check, ...words, device);
    if (check === 'e2fsck') screen.line(lastLine(said));
    screen.good(`${check} finds no errors`);
  }

  private async toolIfThere(name: string, ...args: readonly string[]): Promise<void> {
    const { shell, screen } = this.options;
    const path = findTool(name);
    if (path === null) screen.line(`Skipped: ${missingTool(name)}`);
    else await shell.tool(path, ...args);
  }

  private async tool(name: string, ...args: readonly string[]): Promise<void> {
    await this.options.shell.tool(findTool(name) ?? name, ...args);
  }

  private async quietly(name: string, ...args: readonly string[]): Promise<string> {
    return await this.options.shell.quietTool(findTool(name) ?? name, ...args);
  }
}

/** Whether the kernel offers discards for the device. Reads only /sys, so that the device is not touched. */
function canDiscard(device: string): boolean {
  const queue = `/sys/block/${basename(readlinkSync(device))}/queue`;
  return Number(readFileSync(join(queue, 'discard_max_bytes'), 'utf8')) > 0;
}

function takenMib(file: string): string {
  return ((statSync(file).blocks * 512) / MIB).toFixed(1);
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
