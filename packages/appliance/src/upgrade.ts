// Upgrades: a new system is written to the idle slot and boots once; if it does not come up, the boot loader takes the earlier slot. Invariants:
// the boot loader tries a slot only after its whole system was read back with the right checksum; the first page of a slot is written last, so
// that a slot that was not completely written has no system; the running slot is never written; the `good` slot is one that has come up, so that
// a slot is only ever tried.

import { sleep } from '@rsio/base/lib/waiting';
import { type FileHandle, stat } from 'node:fs/promises';
import { readFileSync, realpathSync } from 'node:fs';
import { sha256Of } from '@rsio/base/files/sha256';
import { withFile } from '@rsio/base/files/with-file';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { CONFIRM_RETRY_MS, CONFIRM_WAIT_MAX_MS, SYSTEM_PART_BYTES } from './limits.ts';
import { type ApplianceMachine, appliancePaths, exclusively, ownPartition, whileMounted } from './machine.ts';
import { BOOT_BLOCK_BYTES, bootBlock, type BootChoice, bootChoiceOf, bootedSlot, factsOf, otherSlot } from './system-image.ts';
import { PAGE_BYTES, pageOffset, type Slot, type SystemFacts } from './system-image.ts';

export interface Slots {
  readonly running: Slot;
  readonly isTrial: boolean;
  readonly choice: BootChoice;
  readonly systems: Readonly<Record<Slot, SystemFacts | null>>;
}

export async function slotsNow(machine: ApplianceMachine): Promise<Slots> {
  const { root } = machine;
  const { slot: running, isTrial: wasTried } = bootedSlot(readFileSync(`${root}/proc/cmdline`, 'utf8'));
  const [a, b] = [await systemIn(ownPartition(root, 'a')), await systemIn(ownPartition(root, 'b'))];
  const choice = await atBoot(machine, null);
  // The trial ends with the confirmation, and the command line of the kernel stays.
  return { running, isTrial: wasTried && choice.good !== running, choice, systems: { a, b } };
}

/** Returns the facts of the system in a slot or file; null if there is none. */
function systemIn(path: string): Promise<SystemFacts | null> {
  return withFile(path, 'r', async (file) => {
    const offset = pageOffset(await part(file, 0, PAGE_BYTES));
    return offset === null ? null : factsOf(await part(file, offset, PAGE_BYTES), offset);
  });
}

async function part(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

/** Returns the choice of the boot loader, after it was replaced by `next` (if that is not null). */
function atBoot(machine: ApplianceMachine, next: BootChoice | null): Promise<BootChoice> {
  const { root } = machine;
  const { boot } = appliancePaths(root);
  const args = ['-t', 'vfat', '-o', next === null ? 'ro' : 'rw,sync', ownPartition(root, 'boot')];
  const choose = async (file: FileHandle): Promise<BootChoice> => {
    // The boot loader knows the place of the block, so the file is written in place.
    if (next !== null) await file.write(bootBlock(next), 0, 'latin1');
    if (next !== null) await file.sync();
    return bootChoiceOf((await part(file, 0, BOOT_BLOCK_BYTES)).toString('latin1'));
  };
  return whileMounted(machine, args, boot, () => withFile(`${boot}/grub/grubenv`, next === null ? 'r' : 'r+', choose));
}

/** Throws E_CONFIG if the system is not complete, or E_SPACE if it does not fit `target`. */
async function verify(path: string, what: string, target: string): Promise<SystemFacts> {
  const [facts, room] = [await systemIn(path), await sizeOf(target)];
  const refuse = (why: string): never => {
    throw new RsError('E_CONFIG', `${what} is not a usable system: ${why}: give a complete file .upgrade of an RSIO appliance`);
  };
  if (facts === null) return refuse('it has no page with version and checksum');
  const length = facts.sizeBytes + PAGE_BYTES;
  if (length > room) throw new RsError('E_SPACE', `${what} has ${length} bytes, and a slot only ${room}: use a smaller system`);
  return (await sha256Of(path, facts.sizeBytes)) === facts.sha256 ? facts : refuse('its checksum is wrong');
}

/** Writes the system in `source` to the idle slot, which the next boot tries. Throws E_CONFIG, E_SPACE or E_SYSTEM. */
export function upgrade(machine: ApplianceMachine, source: string, tell: (sentence: string) => void): Promise<SystemFacts> {
  return exclusively(machine, 'slots', async () => {
    const { run } = machine;
    const { running, idle, target } = await confirmedSlots(machine);
    const facts = await verify(source, source, target);
    tell(`Version ${facts.version} is complete; it is written to slot ${idle.toUpperCase()}`);
    // From here, a boot takes the running slot, whatever happens.
    await atBoot(machine, { good: running, once: null });
    await withFile(source, 'r', (from) => withFile(target, 'r+', (to) => copySystem(from, to, facts.sizeBytes + PAGE_BYTES)));
    // The check must read the disk and not the memory.
    await run('blockdev', ['--flushbufs', target]);
    await verify(target, `Slot ${idle.toUpperCase()}`, target);
    await atBoot(machine, { good: running, once: idle });
    return facts;
  });
}

async function copySystem(from: FileHandle, to: FileHandle, length: number): Promise<void> {
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
}

async function sizeOf(path: string): Promise<number> {
  const stats = await stat(path);
  if (!stats.isBlockDevice()) return stats.size;
  const sectors = readFileSync(`/sys/class/block/${realpathSync(path).replace(/.*\//, '')}/size`, 'utf8');
  return Number(sectors) * 512;
}

/** The next boot tries the other slot. Throws E_CONFIG if it has no complete system. */
export function goBack(machine: ApplianceMachine): Promise<SystemFacts> {
  return exclusively(machine, 'slots', async () => {
    const { running, idle, target } = await confirmedSlots(machine);
    const facts = await verify(target, `Slot ${idle.toUpperCase()}`, target);
    await atBoot(machine, { good: running, once: idle });
    return facts;
  });
}

/** Throws E_BUSY while the running system is on trial: its confirmation would undo another choice. */
async function confirmedSlots(machine: ApplianceMachine): Promise<{ running: Slot; idle: Slot; target: string }> {
  const { running, isTrial } = await slotsNow(machine);
  if (isTrial)
    throw new RsError(
      'E_BUSY',
      'The running system is still on trial: wait until it is confirmed, some minutes after the boot, or restart to have the earlier one',
    );
  const idle = otherSlot(running);
  return { running, idle, target: ownPartition(machine.root, idle) };
}

/** Makes the running slot the one that boots, after it has come up. Waits while crsio looks at the slots. */
export async function confirmSlot(machine: ApplianceMachine, clock: Clock): Promise<Slot> {
  const endMs = clock.monotonicMs() + CONFIRM_WAIT_MAX_MS;
  for (;;) {
    try {
      return await exclusively(machine, 'slots', async () => {
        const { running } = await slotsNow(machine);
        await atBoot(machine, { good: running, once: null });
        return running;
      });
    } catch (thrown) {
      if (toRsError(thrown).code !== 'E_BUSY' || clock.monotonicMs() >= endMs) throw thrown;
      await sleep(clock, CONFIRM_RETRY_MS);
    }
  }
}
