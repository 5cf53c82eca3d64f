// Consensus about the record of a pool on a disk without compare-and-swap: Disk Paxos with one disk. Each server has one register, which
// only this server writes and all servers read. Each version of the record has one instance, named by the version before it. Invariants:
// no two servers decide different records in one instance; a record is decided only after the accepted value is durable; a register that
// begins the next instance contains the decided record of the previous instance; look returns only decided records.

import { OWNERS_MAX } from '@rsio/common/config/schema/limits';
import type { FarmRecord } from '../farm-record.ts';

/** A record with the index of the server that has proposed it. */
export interface Proposed {
  readonly by: number;
  readonly record: FarmRecord;
}

/**
 * The content of a register. The other fields concern the instance that replaces version `base`: `promised` is the ballot that the server
 * has begun (mbal), `accepted` is the ballot in which it has accepted `value` (bal), and `value` is the accepted value (inp). Ballots begin
 * at 1.
 */
export interface Register {
  readonly decided: Proposed | null;
  readonly base: number;
  readonly promised: number;
  readonly accepted: number;
  readonly value: Proposed | null;
}

export interface PaxosPorts {
  /**
   * Returns the content that the register of the server `index` had when the call began, or has got since; null if the register was never
   * written. If a process has ended during a write, this write has happened completely or not at all, and that does not change later.
   * Throws if the storage does not answer.
   */
  read(index: number): Promise<Register | null>;
  /** Resolves when the register of this server is durable. If `write` throws, the write has either happened already, or never happens. */
  write(register: Register): Promise<void>;
  /**
   * Waits for a random time before the next ballot, so that two servers do not stop each other forever. Throws if the time of the call is
   * over.
   */
  pause(tries: number): Promise<void>;
}

const BLANK: Register = { decided: null, base: 0, promised: 0, accepted: 0, value: null };

export class HeaderPaxos {
  private readonly ports: PaxosPorts;
  private readonly own: number;
  private readonly servers: number;
  /** The newest decided record that this process has read or decided. */
  private known: Proposed | null;

  /** `own`: index of this server among `servers` servers. `first`: the record with which the disk was prepared. */
  constructor(ports: PaxosPorts, own: number, servers: number, first: FarmRecord | null) {
    this.ports = ports;
    this.own = own;
    this.servers = servers;
    this.known = first === null ? null : { by: -1, record: first };
  }

  /**
   * Returns the newest decided record. If an earlier swap of this server has thrown, or the server's process has ended during a swap,
   * `look` first brings the instance of that swap to its end. A swap that was called before `look` can therefore not replace the record
   * that `look` returns.
   */
  async look(): Promise<FarmRecord | null> {
    const registers = await this.readAll();
    const { base, value } = registers[this.own] ?? BLANK;
    if (value !== null && base === this.version()) await this.decide(base, value, registers);
    return this.known?.record ?? null;
  }

  /**
   * Proposes `next` as the record that follows `seen`. True: `next` is decided and durable. False: another record has replaced `seen`, or
   * `next` has replaced it and was replaced since then; `next` never becomes the record after this. Throws the errors of the ports, and the
   * outcome is then unknown. The register of this server may then contain `next` as accepted, so the other servers can still decide for
   * `next` until this server has looked. The caller must therefore look before it relies on `seen` again. Only one call, of `swap` or
   * `look`, may run at a time.
   */
  async swap(seen: FarmRecord | null, next: FarmRecord): Promise<boolean> {
    const base = seen?.version ?? 0;
    const registers = await this.readAll();
    if (this.version() !== base) return false;
    await this.decide(base, { by: this.own, record: next }, registers);
    const decided = this.known;
    return decided?.by === this.own && JSON.stringify(decided.record) === JSON.stringify(next);
  }

  /** Runs ballots until the instance is over; `known` then has its record, or a later one. `registers`: what was read last. */
  private async decide(base: number, wanted: Proposed, registers: readonly Register[]): Promise<void> {
    let read = registers;
    for (let tries = 1; this.version() === base; tries++) {
      const ballot = this.ballotAbove(read, base);
      const { accepted, value } = inInstance(read[this.own] ?? BLANK, base);
      read = await this.writeThenRead({ decided: this.known, base, promised: ballot, accepted, value });
      if (this.version() !== base) return;
      if (!isPassed(read, base, ballot)) {
        const chosen = newestValue(read, base) ?? wanted;
        read = await this.writeThenRead({ decided: this.known, base, promised: ballot, accepted: ballot, value: chosen });
        if (this.version() !== base) return;
        if (!isPassed(read, base, ballot)) {
          // From here on, every ballot of this instance chooses this value, even if this server ends before the next line.
          await this.ports.write({ ...BLANK, decided: chosen, base: chosen.record.version });
          this.known = chosen;
          return;
        }
      }
      await this.ports.pause(tries);
      read = await this.readAll();
    }
  }

  private async writeThenRead(register: Register): Promise<readonly Register[]> {
    await this.ports.write(register);
    return await this.readAll();
  }

  private async readAll(): Promise<readonly Register[]> {
    const registers: Register[] = [];
    // Read the registers one after the other, so that hanging storage occupies one thread, and no read is under way after an error.
    for (let index = 0; index < this.servers; index++) {
      const register = (await this.ports.read(index)) ?? BLANK;
      if (register.decided !== null && register.decided.record.version > this.version()) this.known = register.decided;
      registers.push(register);
    }
    return registers;
  }

  private version(): number {
    return this.known?.record.version ?? 0;
  }

  /** Returns a ballot that is higher than all ballots of the instance, and that no other server uses. */
  private ballotAbove(registers: readonly Register[], base: number): number {
    const highest = Math.max(...registers.map((register) => inInstance(register, base).promised));
    return (Math.floor(highest / OWNERS_MAX) + 1) * OWNERS_MAX + this.own;
  }
}

/** Returns what a register says about an instance. */
function inInstance(register: Register, base: number): Register {
  return register.base === base ? register : BLANK;
}

/** Returns true if a server has begun a higher ballot of the instance. */
function isPassed(registers: readonly Register[], base: number, ballot: number): boolean {
  return registers.some((register) => inInstance(register, base).promised > ballot);
}

/** Returns the value that was accepted in the highest ballot of the instance; null if there is none. */
function newestValue(registers: readonly Register[], base: number): Proposed | null {
  const newest = registers.reduce((best, each) => (inInstance(each, base).accepted > inInstance(best, base).accepted ? each : best), BLANK);
  return inInstance(newest, base).value;
}
