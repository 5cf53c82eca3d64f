// Cross-controller resets: a host that has lost a controller orders the end of this controller over another controller of the same
// subsystem, and learns when it may repeat its commands. Offsets and codes follow public descriptions of NVMe Base 2.3, 5.2.12.3.1 and
// 5.4.3. Invariants: success is reported only when no volume executes a command of the lost controller and its sockets have closed; a host
// ends its own controllers only, and only the instance that it names; the number of waiting resets, and their time, are bounded for a
// controller and for the gate.

import {
  GATE_CONTROLLER_IDS,
  GATE_CROSS_RESET_ANSWER_MS,
  GATE_CROSS_RESET_LIMIT,
  GATE_CROSS_RESET_LOG_MAX,
  GATE_CROSS_RESETS_MAX,
  GATE_QUIESCE_MS,
} from '../limits.ts';
import type { NvmeCommand } from './nvme-command.ts';
import { CODE, type Code, DNR } from './wire/constants.ts';

// Log 1Eh: a header, 0-1 entries | 2-7 reserved; then for each entry:
// 0-1 lost id | 2 its uniquifier | 3 reserved | 4-5 id of the controller that was asked | 6 status | 7 flags
const [HEADER_BYTES, ENTRY_BYTES, CIRN_BYTES] = [8, 8, 8];
/** The first byte of CDW12 in a submission queue entry. */
const CIRN_AT = 48;
/** In the first dword of the answer: the reset is complete, and the log has no entry. */
const IMMEDIATE = 1;
const STATUS = { IN_PROGRESS: 0, SUCCESS: 1, FAILED: 2 } as const;
/** Flags of an entry: the command was validated, and the reset was begun. */
const VALIDATED_AND_BEGUN = 0x1 | 0x2;

/** Distinguishes the successive controllers that have the same id, so that a host cannot end a controller of another login. */
export class ControllerInstance {
  /** CIU: it is never 0. */
  uniquifier: number;
  /** CIRN. */
  number: Buffer;
  private readonly random: (bytes: number) => Buffer;

  constructor(random: (bytes: number) => Buffer) {
    this.random = random;
    this.uniquifier = (random(1)[0]! % 255) + 1;
    this.number = random(CIRN_BYTES);
  }

  /** The controller becomes ready (again). */
  renew(): void {
    this.uniquifier = (this.uniquifier % 255) + 1;
    this.number = this.random(CIRN_BYTES);
  }
}

/** A controller, as seen by the controllers that may reset it. */
export interface Resettable {
  readonly id: number;
  readonly hostNqn: string;
  readonly hostId: string;
  readonly instance: ControllerInstance;
  readonly crossResets: { readonly underWay: ReadonlySet<Resettable> };
  end(why: string): void;
}

export interface CrossResetPorts {
  /** The controller that executes the commands. */
  readonly own: Resettable;
  /** Number of this gate among the gates of the subsystem; the other gates give other controller ids. */
  readonly gateNumber: number;
  controllers(): Iterable<Resettable>;
  nowMs(): number;
  answer(command: NvmeCommand, code: Code, low: number): void;
  /** The log now has the result of a reset. */
  changed(): void;
  note(sentence: string): void;
}

interface Entry {
  readonly lost: Resettable;
  readonly uniquifier: number;
  readonly sinceMs: number;
  /** The command, if it has no answer yet; null if it is answered and the entry is in the log. */
  command: NvmeCommand | null;
  status: number;
}

export class CrossResets {
  private readonly ports: CrossResetPorts;
  private readonly entries: Entry[] = [];

  constructor(ports: CrossResetPorts) {
    this.ports = ports;
  }

  /** The lost controllers whose resets are still in progress. */
  get underWay(): Set<Resettable> {
    return new Set(this.entries.flatMap(({ lost, status }) => (status === STATUS.IN_PROGRESS ? lost : [])));
  }

  /** Executes the command. Returns the code that refuses it; null if it was answered, or will be. */
  execute(command: NvmeCommand): Code | null {
    const { ports } = this;
    const { own } = ports;
    const id = command.dword(10) & 0xffff;
    const uniquifier = (command.dword(10) >>> 16) & 0xff;
    if (id === own.id) return CODE.INVALID_FIELD | DNR;
    // Nothing is known here about the controllers of another gate.
    if (Math.ceil(id / GATE_CONTROLLER_IDS) !== ports.gateNumber) return CODE.INVALID_CONTROLLER | DNR;
    const lost = this.find(id, uniquifier, command.sqe.subarray(CIRN_AT, CIRN_AT + CIRN_BYTES));
    if (lost === null) {
      // There is no such instance, so it has ended: an id is re-used, and an instance renewed, only after all connections have finished. An
      // earlier process has no connections, and its session has ended at each server that this process uses (S9).
      ports.answer(command, CODE.OK, IMMEDIATE);
      return null;
    }
    if (lost.hostNqn !== own.hostNqn || lost.hostId !== own.hostId) return CODE.INVALID_CONTROLLER | DNR;
    const refused = this.refusal(lost);
    if (refused !== null) return refused;
    this.entries.push({ lost, uniquifier, sinceMs: ports.nowMs(), command, status: STATUS.IN_PROGRESS });
    // The lost controller's sockets are closed together with the data that lies unread in them (rule D1). `left` is called when the
    // controller has ended.
    lost.end(`its host has reset it over controller ${own.id}`);
    return null;
  }

  /** A controller of the subsystem has left, so that no volume and no socket uses its memory any more. */
  left(lost: Resettable): void {
    this.finish((entry) => entry.lost === lost, STATUS.SUCCESS);
  }

  tick(): void {
    const nowMs = this.ports.nowMs();
    for (const entry of this.entries) {
      if (entry.command === null || nowMs - entry.sinceMs < GATE_CROSS_RESET_ANSWER_MS) continue;
      this.ports.answer(entry.command, CODE.OK, 0);
      entry.command = null;
    }
    // The controller has ended, but its I/O has not. The host then waits as long as if it had not ordered the reset.
    this.finish(({ sinceMs }) => nowMs - sinceMs > GATE_QUIESCE_MS, STATUS.FAILED);
  }

  log(): Buffer {
    const logged = this.entries.filter(({ command }) => command === null);
    const log = Buffer.alloc(HEADER_BYTES + ENTRY_BYTES * logged.length);
    log.writeUInt16LE(logged.length, 0);
    for (const [index, { lost, uniquifier, status }] of logged.entries()) {
      const at = HEADER_BYTES + ENTRY_BYTES * index;
      log.writeUInt16LE(lost.id, at);
      log[at + 2] = uniquifier;
      log.writeUInt16LE(this.ports.own.id, at + 4);
      log[at + 6] = status;
      log[at + 7] = VALIDATED_AND_BEGUN;
    }
    return log;
  }

  /** The host has read the log, and no longer needs the entries of completed resets. */
  removeCompleted(): void {
    this.keep(({ status }) => status === STATUS.IN_PROGRESS);
  }

  /** The controller is reset. Answers the waiting commands, and empties the log. The resets that the controller has ordered go on. */
  reset(): void {
    for (const { command } of this.entries.splice(0)) if (command !== null) this.ports.answer(command, CODE.ABORT_REQUESTED, 0);
  }

  /** The waiting commands get no answers any more. */
  drop(): void {
    this.entries.length = 0;
  }

  private find(id: number, uniquifier: number, number: Buffer): Resettable | null {
    for (const one of this.ports.controllers())
      if (one.id === id && one.instance.uniquifier === uniquifier && one.instance.number.equals(number)) return one;
    return null;
  }

  private refusal(lost: Resettable): Code | null {
    let count = 0;
    for (const { crossResets } of this.ports.controllers()) {
      const { underWay } = crossResets;
      if (underWay.has(lost)) return CODE.CROSS_RESET_IN_PROGRESS;
      count += underWay.size;
    }
    if (count >= GATE_CROSS_RESETS_MAX || this.underWay.size >= GATE_CROSS_RESET_LIMIT) return CODE.CROSS_RESET_LIMIT;
    return this.entries.length >= GATE_CROSS_RESET_LOG_MAX ? CODE.CROSS_RESET_LOG_FULL : null;
  }

  private finish(isMeant: (entry: Entry) => boolean, status: number): void {
    for (const entry of [...this.entries]) {
      if (entry.status !== STATUS.IN_PROGRESS || !isMeant(entry)) continue;
      entry.status = status;
      const { command, lost } = entry;
      if (status === STATUS.FAILED)
        this.ports.note(
          `controller ${lost.id} of host ${lost.hostNqn} still has I/O ${GATE_QUIESCE_MS / 1000} s after its host has reset it`,
        );
      if (command === null) this.ports.changed();
      else {
        this.keep((one) => one !== entry);
        this.ports.answer(command, CODE.OK, IMMEDIATE);
      }
    }
  }

  private keep(isKept: (entry: Entry) => boolean): void {
    this.entries.splice(0, this.entries.length, ...this.entries.filter(isKept));
  }
}
