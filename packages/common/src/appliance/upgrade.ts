// Upgrades: a new system is written to the idle slot and boots once; if it does not come up, the boot loader takes the earlier slot. Invariants:
// the boot loader tries a slot only after its whole system was read back with the right checksum; the first page of a slot is written last, so
// that a slot that was not completely written has no system; the running slot is never written.

import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { RsError } from '../lib/errors.ts';
import { SYSTEM_PART_BYTES } from './limits.ts';
import { type ApplianceMachine, appliancePaths, exclusively } from './machine.ts';
import { BOOT_BLOCK_BYTES, bootBlock, type BootChoice, bootChoiceOf, bootedSlot, factsOf, otherSlot } from './system-image.ts';
import { PAGE_BYTES, pageOffset, type Slot, type SystemFacts } from './system-image.ts';

export interface Slots {
  readonly running: Slot;
  readonly isTrial: boolean;
  readonly choice: BootChoice;
  readonly systems: Readonly<Record<Slot, SystemFacts | null>>;
}

const partition = (root: string, name: string): string => `${root}/dev/disk/by-partlabel/rsio-${name}`;

export async function slotsNow(machine: ApplianceMachine): Promise<Slots> {
  const { root } = machine;
  const { slot: running, isTrial: wasTried } = bootedSlot(readFileSync(`${root}/proc/cmdline`, 'utf8'));
  const [a, b] = await Promise.all((['a', 'b'] as const).map((slot) => systemIn(partition(root, slot))));
  const choice = await atBoot(machine, null);
  // The trial ends with the confirmation, and the command line of the kernel stays.
  return { running, isTrial: wasTried && choice.good !== running, choice, systems: { a: a ?? null, b: b ?? null } };
}

/** Returns the facts of the system in a slot or file; null if there is none. */
async function systemIn(path: string): Promise<SystemFacts | null> {
  const file = await open(path, 'r');
  try {
    const offset = pageOffset(await part(file, 0, PAGE_BYTES));
    return offset === null ? null : factsOf(await part(file, offset, PAGE_BYTES), offset);
  } finally {
    await file.close();
  }
}

async function part(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

/** Returns the choice of the boot loader, after it was replaced by `next` (if that is not null). */
async function atBoot({ root, run }: ApplianceMachine, next: BootChoice | null): Promise<BootChoice> {
  const { boot } = appliancePaths(root);
  mkdirSync(boot, { recursive: true });
  await run('mount', ['-t', 'vfat', '-o', next === null ? 'ro' : 'rw,sync', partition(root, 'boot'), boot]);
  try {
    const file = await open(`${boot}/grub/grubenv`, next === null ? 'r' : 'r+');
    try {
      // The boot loader knows the place of the block, so the file is written in place.
      if (next !== null) await file.write(bootBlock(next), 0, 'latin1');
      if (next !== null) await file.sync();
      return bootChoiceOf((await part(file, 0, BOOT_BLOCK_BYTES)).toString('latin1'));
    } finally {
      await file.close();
    }
  } finally {
    await run('umount', [boot]);
  }
}

/** Throws E_CONFIG if the system is not complete. */
async function verify(path: string, what: string): Promise<SystemFacts> {
  const facts = await systemIn(path);
  const refuse = (why: string): never => {
    throw new RsError('E_CONFIG', `${what} is not a usable system: ${why}: give a complete file .upgrade of an RSIO appliance`);
  };
  if (facts === null) return refuse('it has no page with version and checksum');
  const file = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    for (let at = 0; at < facts.sizeBytes; at += SYSTEM_PART_BYTES)
      hash.update(await part(file, at, Math.min(SYSTEM_PART_BYTES, facts.sizeBytes - at)));
    return hash.digest('hex') === facts.sha256 ? facts : refuse('its checksum is wrong');
  } finally {
    await file.close();
  }
}

/** Writes the system in `source` to the idle slot, which the next boot tries. Throws E_CONFIG, E_SPACE or E_SYSTEM. */
export function upgrade(machine: ApplianceMachine, source: string, tell: (sentence: string) => void): Promise<SystemFacts> {
  return exclusively(machine, async () => {
    const { root, run } = machine;
    const { running, isTrial } = await slotsNow(machine);
    if (isTrial)
      throw new RsError('E_BUSY', 'The running system is still on trial: wait until it is confirmed, some minutes after the boot');
    const facts = await verify(source, source);
    const idle = otherSlot(running);
    const target = partition(root, idle);
    tell(`Version ${facts.version} is complete; it is written to slot ${idle.toUpperCase()}`);
    // From here, a boot takes the running slot, whatever happens.
    await atBoot(machine, { good: running, once: null });
    await copySystem(source, target, facts.sizeBytes + PAGE_BYTES);
    // The check must read the disk and not the memory.
    await run('blockdev', ['--flushbufs', target]);
    await verify(target, `Slot ${idle.toUpperCase()}`);
    await atBoot(machine, { good: running, once: idle });
    return facts;
  });
}

async function copySystem(source: string, target: string, length: number): Promise<void> {
  const [from, to] = [await open(source, 'r'), await open(target, 'r+')];
  try {
    const room = (await to.stat()).isBlockDevice() ? await sizeOf(target) : length;
    if (room < length) throw new RsError('E_SPACE', `The system has ${length} bytes, and its slot only ${room}: use a smaller system`);
    const head = await part(from, 0, PAGE_BYTES);
    await to.write(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, 0);
    await to.sync();
    for (let at = PAGE_BYTES; at < length; at += SYSTEM_PART_BYTES) {
      const bytes = await part(from, at, Math.min(SYSTEM_PART_BYTES, length - at));
      await to.write(bytes, 0, bytes.length, at);
    }
    await to.sync();
    await to.write(head, 0, PAGE_BYTES, 0);
    await to.sync();
  } finally {
    await from.close();
    await to.close();
  }
}

/** Size of a block device, which `stat` does not say. */
async function sizeOf(path: string): Promise<number> {
  const sectors = readFileSync(`/sys/class/block/${realpathSync(path).replace(/.*\//, '')}/size`, 'utf8');
  return Number(sectors) * 512;
}

/** Makes the other slot the one that boots. Throws E_CONFIG if it has no complete system. */
export function goBack(machine: ApplianceMachine): Promise<SystemFacts> {
  return exclusively(machine, async () => {
    const other = otherSlot((await slotsNow(machine)).running);
    const facts = await verify(partition(machine.root, other), `Slot ${other.toUpperCase()}`);
    await atBoot(machine, { good: other, once: null });
    return facts;
  });
}

/** Makes the running slot the one that boots, after it has come up. */
export function confirmSlot(machine: ApplianceMachine): Promise<Slot> {
  return exclusively(machine, async () => {
    const { running } = await slotsNow(machine);
    await atBoot(machine, { good: running, once: null });
    return running;
  });
}
