// Texts on the disk of the appliance: the page after a system in a slot or file, and the variables of the boot loader. Pure. Invariant: the
// variables fit the first sector of their block, so that a power cut leaves either the old or the new text.

import { RsError } from '@rsio/base/lib/errors';

export const PAGE_BYTES = 4096;
export const BOOT_BLOCK_BYTES = 1024;
const BOOT_BLOCK_HEAD = '# GRUB Environment Block\n';
const SECTOR_BYTES = 512;
const SQUASHFS_MAGIC = 0x73717368;
const SQUASHFS_BYTES_USED_OFFSET = 40;

export type Slot = 'a' | 'b';
export const otherSlot = (slot: Slot): Slot => (slot === 'a' ? 'b' : 'a');

export interface SystemFacts {
  readonly version: string;
  /** Size of the squashfs with its padding, without the page. */
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Returns where the page after the squashfs begins; null if there is no squashfs. `head`: the first PAGE_BYTES. */
export function pageOffset(head: Buffer): number | null {
  if (head.length < PAGE_BYTES || head.readUInt32LE(0) !== SQUASHFS_MAGIC) return null;
  const used = Number(head.readBigUInt64LE(SQUASHFS_BYTES_USED_OFFSET));
  return Number.isSafeInteger(used) && used > 0 ? Math.ceil(used / PAGE_BYTES) * PAGE_BYTES : null;
}

/** Returns what the page says; null if it does not belong to a system that ends at `offset`. */
export function factsOf(page: Buffer, offset: number): SystemFacts | null {
  const text = page.toString('latin1').replace(/\0.*$/s, '');
  const found = /^RSIO appliance 1\nversion=([\w.+~-]{1,64})\nsize=(\d{1,15})\nsha256=([0-9a-f]{64})\n$/.exec(text);
  if (found === null) return null;
  const [, version = '', size = '', sha256 = ''] = found;
  return Number(size) === offset ? { version, sizeBytes: offset, sha256 } : null;
}

/** The slot that works, and the slot that boots once; null: none. */
export interface BootChoice {
  readonly good: Slot;
  readonly once: Slot | null;
}

/** Returns the choice in GRUB's block. A damaged block means slot A, as it does for the boot loader. */
export function bootChoiceOf(block: string): BootChoice {
  const value = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(block)?.[1];
  if (!block.startsWith(BOOT_BLOCK_HEAD)) return { good: 'a', once: null };
  const once = value('try');
  return { good: value('good') === 'b' ? 'b' : 'a', once: once === 'a' || once === 'b' ? once : null };
}

export function bootBlock({ good, once }: BootChoice): string {
  const text = `${BOOT_BLOCK_HEAD}good=${good}\ntry=${once ?? ''}\n`;
  if (text.length > SECTOR_BYTES) throw new RsError('E_INTERNAL', 'The block of the boot loader is too long');
  return text.padEnd(BOOT_BLOCK_BYTES, '#');
}

/** The slot from which this system was booted, and whether it is on trial. Throws E_SYSTEM. */
export function bootedSlot(commandLine: string): { readonly slot: Slot; readonly isTrial: boolean } {
  const [, slot] = /(?:^|\s)rsio\.slot=([ab])(?:\s|$)/.exec(commandLine) ?? [];
  if (slot !== 'a' && slot !== 'b')
    throw new RsError('E_SYSTEM', 'The kernel was not started from a slot: start the appliance by its boot menu');
  return { slot, isTrial: /(?:^|\s)rsio\.trial(?:\s|$)/.test(commandLine) };
}
