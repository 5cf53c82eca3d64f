// What a controller tells its host about reservations of other hosts: the notices that the host has not masked, and log 80h with the oldest
// unread notice. Offsets follow NVMe Base 2.0, 5.16.1.24 and 5.27.1.22. Invariant: at most GATE_RESERVATION_NOTICES_MAX notices are kept;
// the count in
// the log shows that older ones were dropped.

import { GATE_RESERVATION_NOTICES_MAX } from '../limits.ts';
import type { ReservationNotice } from '../reservations/reservation-rules.ts';

const LOG_BYTES = 64;
const TYPES: Readonly<Record<ReservationNotice['what'], number>> = {
  'registration preempted': 1,
  'reservation released': 2,
  'reservation preempted': 3,
};
/** The bits with which a host masks the types of notices. */
const MASKS = 0x2 | 0x4 | 0x8;

export class ReservationNotices {
  private readonly masks = new Map<number, number>();
  private readonly kept: { readonly count: number; readonly type: number; readonly nsid: number }[] = [];
  private count = 0;

  maskOf(nsid: number): number {
    return this.masks.get(nsid) ?? 0;
  }

  /** Returns false if the mask has bits without a meaning. */
  mask(nsids: Iterable<number>, mask: number): boolean {
    if ((mask & ~MASKS) !== 0) return false;
    for (const nsid of nsids) this.masks.set(nsid, mask);
    return true;
  }

  /** Returns false if the host has masked this type of notice. */
  add(nsid: number, what: ReservationNotice['what']): boolean {
    const type = TYPES[what];
    if ((this.maskOf(nsid) & (1 << type)) !== 0) return false;
    if (this.kept.length >= GATE_RESERVATION_NOTICES_MAX) this.kept.shift();
    this.kept.push({ count: ++this.count, type, nsid });
    return true;
  }

  /** The log: the oldest notice, or zeros. */
  log(): Buffer {
    const log = Buffer.alloc(LOG_BYTES);
    const [oldest] = this.kept;
    if (oldest === undefined) return log;
    log.writeBigUInt64LE(BigInt(oldest.count), 0);
    log[8] = oldest.type;
    log[9] = this.kept.length - 1;
    log.writeUInt32LE(oldest.nsid, 12);
    return log;
  }

  /** The host has read the log. Returns true if there are further notices. */
  read(): boolean {
    this.kept.shift();
    return this.kept.length > 0;
  }

  clear(): void {
    this.kept.length = 0;
    this.masks.clear();
  }
}
