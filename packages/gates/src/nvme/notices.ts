// The asynchronous events of a controller: what happened, and the commands of the host that wait for it. Sources: NVMe Base 2.0, 5.2 and
// 5.27.1.8. Invariant: an event of a kind is reported once, and again only after the host has read the log of that kind; events that happen
// before that are not lost.

import { GATE_EVENTS_MAX } from '../limits.ts';
import type { NvmeCommand } from './nvme-command.ts';
import { CODE, type Code, DNR, LOG } from './wire/constants.ts';

/** Type in bits 0 to 2, information in bits 8 to 15, log in bits 16 to 23. `mask` is the bit with which a host enables the kind; 0 if it needs none. */
const KINDS = {
  namespaces: { event: 0x02 | (0 << 8) | (LOG.CHANGED << 16), mask: 1 << 8, log: LOG.CHANGED },
  ana: { event: 0x02 | (0x03 << 8) | (LOG.ANA << 16), mask: 1 << 11, log: LOG.ANA },
  /** Its notices can be turned off one by one (reservation-notices.ts). */
  reservations: { event: 0x06 | (0 << 8) | (LOG.RESERVATIONS << 16), mask: 0, log: LOG.RESERVATIONS },
  crossResets: { event: 0x02 | (0xf4 << 8) | (LOG.CROSS_RESETS << 16), mask: 1 << 20, log: LOG.CROSS_RESETS },
  discovery: { event: 0x02 | (0xf0 << 8) | (LOG.DISCOVERY << 16), mask: 2 ** 31, log: LOG.DISCOVERY },
} as const;
export type NoticeKind = keyof typeof KINDS;
const ALL = Object.keys(KINDS) as NoticeKind[];

/** OAES of a controller with volumes, and of a discovery controller. */
export const NOTICES = {
  volumes: KINDS.namespaces.mask | KINDS.ana.mask | KINDS.crossResets.mask,
  discovery: KINDS.discovery.mask,
} as const;

export class Notices {
  /** The kinds that the host has enabled, as a mask. */
  enabled = 0;
  private readonly due = new Set<NoticeKind>();
  /** Kinds whose event the host has received, and whose log it has not read since. */
  private readonly told = new Set<NoticeKind>();
  private readonly listeners: NvmeCommand[] = [];
  private readonly answer: (command: NvmeCommand, code: Code, event: number) => void;

  constructor(answer: (command: NvmeCommand, code: Code, event: number) => void) {
    this.answer = answer;
  }

  /** Something of a kind has happened. Nothing happens if the host has not enabled the kind. */
  raise(kind: NoticeKind): void {
    const { mask } = KINDS[kind];
    // The highest bit makes the number negative.
    if (mask !== 0 && (this.enabled & mask) === 0) return;
    this.due.add(kind);
    this.report();
  }

  /** A command of the host waits for an event. Returns the code that refuses it; null if it waits, or was answered. */
  listen(command: NvmeCommand): Code | null {
    if (this.listeners.length >= GATE_EVENTS_MAX) return CODE.TOO_MANY_ASYNC_EVENTS | DNR;
    this.listeners.push(command);
    this.report();
    return null;
  }

  /** True if the host has enabled the event with which `probe` asks. */
  get mayProbe(): boolean {
    return (this.enabled & KINDS.ana.mask) !== 0;
  }

  /**
   * Reports a change of states although there is none, so that the host sends its next request under the same identifier, which proves that
   * it has received this answer (rule D1). Returns false if no request waits, or if the host has not read the log since the last event.
   */
  probe(): boolean {
    if (!this.mayProbe || this.told.has('ana') || this.listeners.length === 0) return false;
    this.due.add('ana');
    this.report();
    return true;
  }

  /** The host has read a log, and wants to hear of later changes. */
  read(log: number): void {
    for (const kind of ALL) if (KINDS[kind].log === log) this.told.delete(kind);
    this.report();
  }

  /** Returns false if no such command waits; otherwise the command is answered. */
  abort(cid: number): boolean {
    const at = this.listeners.findIndex((one) => one.cid === cid);
    if (at >= 0) this.answer(this.listeners.splice(at, 1)[0]!, CODE.ABORT_REQUESTED, 0);
    return at >= 0;
  }

  /** A reset: all waiting commands are answered, and the host enables the kinds again. */
  reset(): void {
    for (const command of this.listeners.splice(0)) this.answer(command, CODE.ABORT_REQUESTED, 0);
    this.enabled = 0;
    this.due.clear();
    this.told.clear();
  }

  /** The waiting commands get no answers any more. */
  drop(): void {
    this.listeners.length = 0;
  }

  private report(): void {
    for (const kind of ALL) {
      if (!this.due.has(kind) || this.told.has(kind)) continue;
      const command = this.listeners.shift();
      if (command === undefined) return;
      this.due.delete(kind);
      this.told.add(kind);
      this.answer(command, CODE.OK, KINDS[kind].event);
    }
  }
}
