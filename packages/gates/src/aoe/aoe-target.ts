// One volume of an AoE gate under its address, and what hosts have stored about it: the config string, the MAC addresses that get answers,
// and those that have reserved it. Invariant: a host learns of a change only when the change is on disk.

import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import { AOE_ACTIVE_MS, AOE_CONFIG_MAX_BYTES, AOE_HOSTS_MAX, AOE_MACS_MAX } from '../limits.ts';
import {
  CONFIG,
  CONFIG_BYTES,
  DIRECTIVE,
  DIRECTIVE_BYTES,
  FAULT,
  type Fault,
  MAC_BYTES,
  macAt,
  MASK,
  MASK_BYTES,
  MASK_FAULT,
} from './wire.ts';
import { RESERVE, RESERVE_BYTES } from './wire.ts';

/** Lists are empty if every host may use the volume. */
export interface Notes {
  readonly config: Buffer;
  readonly masks: readonly number[];
  readonly reserved: readonly number[];
}

/** `fault`: the command is refused. Null: there is no answer. `maskFault`: the error of a mask list. */
export type Wish = { readonly notes: Notes; readonly maskFault: number } | { readonly fault: Fault } | null;

export class AoeTarget {
  readonly slot: number;
  readonly volume: FrontendVolume;
  notes: Notes;
  /** Number of commands that the volume is executing. */
  inVolume = 0;
  /** True when the gate does not offer the volume any more; its commands then get no answers. */
  isGone = false;
  private readonly keep: (notes: Notes) => Promise<void>;
  /** By MAC address: the time (monotonic ms) of the last command. */
  private readonly hosts = new Map<number, number>();

  constructor(slot: number, volume: FrontendVolume, notes: Notes, keep: (notes: Notes) => Promise<void>) {
    this.slot = slot;
    this.volume = volume;
    this.notes = notes;
    this.keep = keep;
  }

  /** Resolves when the notes are on disk, and throws if they are not. */
  async change(notes: Notes): Promise<void> {
    await this.keep(notes);
    this.notes = notes;
  }

  isMasked(mac: number): boolean {
    return this.notes.masks.length > 0 && !this.notes.masks.includes(mac);
  }

  isReservedByOthers(mac: number): boolean {
    return this.notes.reserved.length > 0 && !this.notes.reserved.includes(mac);
  }

  used(mac: number, nowMs: number): void {
    if (!this.hosts.has(mac) && this.hosts.size >= AOE_HOSTS_MAX) this.forgetIdle(nowMs);
    if (this.hosts.has(mac) || this.hosts.size < AOE_HOSTS_MAX) this.hosts.set(mac, nowMs);
  }

  /** MAC addresses of the hosts that have used the volume in the last AOE_ACTIVE_MS. */
  usersAt(nowMs: number): number[] {
    this.forgetIdle(nowMs);
    return [...this.hosts.keys()];
  }

  private forgetIdle(nowMs: number): void {
    for (const [mac, lastMs] of this.hosts) if (nowMs - lastMs >= AOE_ACTIVE_MS) this.hosts.delete(mac);
  }
}

/** Returns what a config command asks of a volume with these notes. `isAlone`: the command names one volume. */
export function configWish(notes: Notes, bytes: Buffer, start: number, end: number, isAlone: boolean): Wish {
  const lengthBytes = end - start < CONFIG_BYTES ? Number.POSITIVE_INFINITY : bytes.readUInt16BE(start + 30);
  if (lengthBytes > AOE_CONFIG_MAX_BYTES || end - start < CONFIG_BYTES + lengthBytes) return isAlone ? { fault: FAULT.ARGUMENT } : null;
  const given = bytes.subarray(start + CONFIG_BYTES, start + CONFIG_BYTES + lengthBytes);
  const same = { notes, maskFault: MASK_FAULT.NONE };
  switch (bytes.readUInt8(start + 29) & 0x0f) {
    case CONFIG.READ:
      return same;
    case CONFIG.TEST:
      return given.equals(notes.config) ? same : null;
    case CONFIG.TEST_PREFIX:
      return given.equals(notes.config.subarray(0, lengthBytes)) ? same : null;
    case CONFIG.SET:
      if (!isAlone) return null;
      if (given.equals(notes.config)) return same;
      return notes.config.length > 0 ? { fault: FAULT.CONFIG_PRESENT } : { ...same, notes: { ...notes, config: Buffer.from(given) } };
    case CONFIG.FORCE:
      if (!isAlone) return null;
      return given.equals(notes.config) ? same : { ...same, notes: { ...notes, config: Buffer.from(given) } };
    default:
      return isAlone ? { fault: FAULT.ARGUMENT } : null;
  }
}

/** If a directive is wrong, the directives before it still take effect. */
export function maskWish(notes: Notes, bytes: Buffer, start: number, end: number): Wish {
  const count = end - start < MASK_BYTES ? Number.POSITIVE_INFINITY : bytes.readUInt8(start + 27);
  const verb = end - start < MASK_BYTES ? MASK.READ : bytes.readUInt8(start + 25);
  if (end - start < MASK_BYTES + count * DIRECTIVE_BYTES || verb > MASK.EDIT) return { fault: FAULT.ARGUMENT };
  if (verb === MASK.READ) return { notes, maskFault: MASK_FAULT.NONE };
  const masks = new Set(notes.masks);
  let maskFault: number = MASK_FAULT.NONE;
  for (let at = start + MASK_BYTES; at < start + MASK_BYTES + count * DIRECTIVE_BYTES && maskFault === 0; at += DIRECTIVE_BYTES) {
    const mac = macAt(bytes, at + 2);
    switch (bytes.readUInt8(at + 1)) {
      case DIRECTIVE.NONE:
        break;
      case DIRECTIVE.ADD:
        if (!masks.has(mac) && masks.size >= AOE_MACS_MAX) maskFault = MASK_FAULT.FULL;
        else masks.add(mac);
        break;
      case DIRECTIVE.DELETE:
        masks.delete(mac);
        break;
      default:
        maskFault = MASK_FAULT.DIRECTIVE;
    }
  }
  const next = [...masks];
  return { notes: isSameList(next, notes.masks) ? notes : { ...notes, masks: next }, maskFault };
}

export function reserveWish(notes: Notes, mac: number, bytes: Buffer, start: number, end: number): Wish {
  const count = end - start < RESERVE_BYTES ? Number.POSITIVE_INFINITY : bytes.readUInt8(start + 25);
  const verb = end - start < RESERVE_BYTES ? RESERVE.READ : bytes.readUInt8(start + 24);
  if (verb === RESERVE.READ && end - start >= RESERVE_BYTES) return { notes, maskFault: MASK_FAULT.NONE };
  if (end - start < RESERVE_BYTES + count * MAC_BYTES || verb > RESERVE.FORCE || count > AOE_MACS_MAX) return { fault: FAULT.ARGUMENT };
  if (verb === RESERVE.SET && notes.reserved.length > 0 && !notes.reserved.includes(mac)) return { fault: FAULT.RESERVED };
  const macs = Array.from({ length: count }, (_, index) => macAt(bytes, start + RESERVE_BYTES + index * MAC_BYTES));
  const next = [...new Set(macs)];
  return { notes: isSameList(next, notes.reserved) ? notes : { ...notes, reserved: next }, maskFault: MASK_FAULT.NONE };
}

function isSameList(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((mac, index) => mac === other[index]);
}
