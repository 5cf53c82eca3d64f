// A Linux host in a small virtual machine, with one device over several paths: writes and reads the device. Each protocol has a host of its
// own, which connects the paths. Invariant: all I/O bypasses the page cache of the guest, so that what is read comes from the target.

import { waitFor } from '../../support/programs/wait-for.ts';
import type { SmallMachine } from '../small/small-machine.ts';

export const BLOCK_BYTES = 4096;
/** Longest time for a command that must wait for a path. */
export const IO_TIMEOUT_MS = 60_000;
export const PATHS_MS = 30_000;

export abstract class LinuxHost {
  private readonly machine: SmallMachine;
  /** Function of the shell: `device NSID` prints the file of a device. */
  private readonly device: string;

  protected constructor(machine: SmallMachine, device: string) {
    this.machine = machine;
    this.device = device;
  }

  /** Returns the number of paths in use. */
  abstract livePaths(): Promise<number>;

  async pathsLive(count: number): Promise<void> {
    await waitFor(async () => (await this.livePaths()) === count, PATHS_MS, `The host uses ${count} paths`);
  }

  /** Resolves when the host has the device. */
  async has(nsid: number): Promise<void> {
    await waitFor(async () => (await this.look(`device ${nsid}`)) !== '', PATHS_MS, `The host has device ${nsid}`);
  }

  async sizeBytes(nsid: number): Promise<number> {
    return Number(await this.look(`blockdev --getsize64 "$(device ${nsid})"`));
  }

  /** Fills a block with a letter. */
  async write(nsid: number, block: number, letter: string): Promise<void> {
    const fill = `head -c ${BLOCK_BYTES} /dev/zero | tr '\\0' ${letter}`;
    await this.run(
      `${fill} | dd of="$(device ${nsid})" bs=${BLOCK_BYTES} iflag=fullblock oflag=direct seek=${block} status=none`,
      IO_TIMEOUT_MS,
    );
  }

  /** Returns the letter with which a block is filled. Throws if the bytes of the block differ. */
  async read(nsid: number, block: number): Promise<string> {
    const read = `dd if="$(device ${nsid})" of=/run/block bs=${BLOCK_BYTES} iflag=direct skip=${block} count=1 status=none`;
    return await this.run(
      `${read} && letter=$(head -c 1 /run/block) && [ -z "$(tr -d "$letter" < /run/block)" ] && echo "$letter"`,
      IO_TIMEOUT_MS,
    );
  }

  /** Runs a script that a test repeats. Pauses first, because the guest is slow, and many scripts would slow it down further. */
  protected look(script: string): Promise<string> {
    return this.run(`sleep 0.2; ${script}`);
  }

  /** Runs a script of busybox that may use `device NSID`. */
  run(script: string, timeoutMs?: number): Promise<string> {
    return this.machine.run(`${this.device}\n${script}`, timeoutMs);
  }
}
