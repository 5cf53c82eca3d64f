// Holds the changes of one session for a snapshot. While a volume is held, no change of the volume starts. While a volume is guarded, a
// change to a chunk that is not yet cloned waits, and the session asks the listener to clone the chunk first. Reads and FLUSHes never wait.
// Invariants: `held` is reported once, when no change of the held volumes is running. A parked change ends exactly once. If the handle of a
// parked change is closed, the change ends with STALE, and the client sends it again. A hold therefore never delays a take-over or the end
// of a session. Rules: P1.

import { assert, counted } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { type Header, sectorsOf } from '@rsio/protocol/wire/header';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { Cloned, CloneRequest, GuardedVolume, HoldMessage } from './hold-messages.ts';

export interface GatedHandle {
  readonly volume: { readonly id: string };
  /** True if the handle is being closed. */
  readonly isClosing: boolean;
  /** The gate of the handle's volume; null unless the volume is held or guarded. */
  gate: VolumeGate | null;
  /** Number of changes that the backend is executing. A change that the backend executes synchronously does not count. */
  changing: number;
}

export interface ChangeGatePorts {
  /** Returns all open handles of the session. */
  handles(): Iterable<GatedHandle>;
  held(number: number): void;
  /** Resolves when the chunks are cloned, or with null if the listener has ended. */
  clone(request: CloneRequest): Promise<Cloned | null>;
}

/** Starts the change. `end` is called once, with the status of the change. */
type Start = (end: (status: Status) => void) => void;

type Change = Pick<Header, 'op' | 'flags' | 'lba' | 'count'>;

interface Parked {
  readonly handle: GatedHandle;
  readonly change: Change;
  readonly start: Start;
  readonly done: (status: Status) => void;
}

/** States of a chunk in the session. */
const CHUNK = { UNKNOWN: 0, ASKED: 1, CLONED: 2 } as const;

class Guard {
  readonly chunkBytes: number;
  readonly states: Uint8Array;

  constructor({ chunkBytes, chunks }: GuardedVolume) {
    this.chunkBytes = chunkBytes;
    this.states = new Uint8Array(chunks);
  }

  /**
   * Returns the first and the last guarded chunk that the change touches. If the change touches no guarded chunk, `from` is larger
   * than `to`.
   */
  chunksOf({ op, flags, lba, count }: Change): readonly [from: number, to: number] {
    const positionBytes = lba * SECTOR_BYTES;
    const endBytes = positionBytes + sectorsOf(op, flags, count) * SECTOR_BYTES;
    return [Math.floor(positionBytes / this.chunkBytes), Math.min(this.states.length, Math.ceil(endBytes / this.chunkBytes)) - 1];
  }

  lets(change: Change): boolean {
    const [from, to] = this.chunksOf(change);
    for (let chunk = from; chunk <= to; chunk++) if (this.states[chunk] !== CHUNK.CLONED) return false;
    return true;
  }
}

/** The hold or guard of one volume. */
export class VolumeGate {
  isHeld = true;
  guard: Guard | null = null;
  parked: Parked[] = [];
  /** Number of the moment that holds or guards the volume. */
  number = -1;

  lets(change: Change): boolean {
    return !this.isHeld && (this.guard === null || this.guard.lets(change));
  }
}

export class ChangeGates {
  private readonly ports: ChangeGatePorts;
  private readonly byVolume = new Map<string, VolumeGate>();
  /** Number of the latest moment. Earlier moments may still guard other volumes. */
  private number = -1;
  /** True while the listener waits for the message `held` of this session. */
  private isAwaited = false;

  constructor(ports: ChangeGatePorts) {
    this.ports = ports;
  }

  receive(message: HoldMessage): void {
    if (message.type === 'hold') this.hold(message.number, message.volumeIds);
    else this.goOn(message.number, message.guards);
  }

  /** Must be called for a new handle before its first request. */
  opened(handle: GatedHandle): void {
    handle.gate = this.byVolume.get(handle.volume.id) ?? null;
  }

  /** Returns the number of changes of a volume that wait. */
  count(volumeId: string): number {
    return this.byVolume.get(volumeId)?.parked.length ?? 0;
  }

  /** Executes a change, now or after the hold. `done` gets the status of the change. */
  execute(handle: GatedHandle, change: Change, start: Start, done: (status: Status) => void): void {
    const { gate } = handle;
    if (gate === null || gate.lets(change)) this.begin(handle, start, done);
    else if (handle.isClosing) done(STATUS.STALE);
    else this.park(gate, { handle, change, start, done });
  }

  /** Called when a handle is being closed. Ends the waiting changes of the handle with STALE. */
  release(handle: GatedHandle): void {
    const { gate } = handle;
    if (gate === null) return;
    const own = gate.parked.filter((one) => one.handle === handle);
    gate.parked = gate.parked.filter((one) => one.handle !== handle);
    for (const { done } of own) done(STATUS.STALE);
  }

  private hold(number: number, volumeIds: readonly string[]): void {
    assert(number > this.number, 'A later moment has a lower number');
    this.number = number;
    for (const id of volumeIds) {
      const gate = this.gateOf(id, number);
      gate.isHeld = true;
      gate.guard = null;
    }
    this.isAwaited = true;
    this.answer();
  }

  private goOn(number: number, guards: readonly GuardedVolume[]): void {
    if (number === this.number) this.isAwaited = false;
    for (const guarded of guards) this.gateOf(guarded.volumeId, number).guard = new Guard(guarded);
    for (const [id, gate] of [...this.byVolume]) {
      if (gate.number !== number) continue;
      gate.isHeld = false;
      if (guards.some(({ volumeId }) => volumeId === id)) this.tryAll(gate);
      else this.open(id, gate);
    }
  }

  /** Returns the gate of a volume, and assigns the gate to this moment. */
  private gateOf(volumeId: string, number: number): VolumeGate {
    const known = this.byVolume.get(volumeId);
    const gate = known ?? new VolumeGate();
    gate.number = number;
    if (known !== undefined) return known;
    this.byVolume.set(volumeId, gate);
    for (const handle of this.ports.handles()) if (handle.volume.id === volumeId) handle.gate = gate;
    return gate;
  }

  /** Removes the gate of the volume, and starts the changes that wait. */
  private open(volumeId: string, gate: VolumeGate): void {
    gate.guard = null;
    this.byVolume.delete(volumeId);
    for (const handle of this.ports.handles()) if (handle.gate === gate) handle.gate = null;
    this.tryAll(gate);
    assert(gate.parked.length === 0, 'A change waits at a gate that is gone');
  }

  private begin(handle: GatedHandle, start: Start, done: (status: Status) => void): void {
    handle.changing++;
    start((status) => {
      handle.changing = counted(handle.changing - 1, 'changes of a handle in progress');
      done(status);
      if (this.isAwaited) this.answer();
    });
  }

  private answer(): void {
    for (const { gate, changing } of this.ports.handles()) if (gate?.isHeld === true && changing > 0) return;
    this.isAwaited = false;
    this.ports.held(this.number);
  }

  private park(gate: VolumeGate, one: Parked): void {
    gate.parked.push(one);
    if (gate.isHeld || gate.guard === null) return;
    this.ask(gate, gate.guard, one);
  }

  /** Asks the listener to clone those chunks of the change that no earlier change has asked for. */
  private ask(gate: VolumeGate, guard: Guard, { handle, change }: Parked): void {
    const { states } = guard;
    let [from, to] = guard.chunksOf(change);
    while (from <= to && states[from] !== CHUNK.UNKNOWN) from++;
    while (from <= to && states[to] !== CHUNK.UNKNOWN) to--;
    if (from > to) return;
    for (let chunk = from; chunk <= to; chunk++) if (states[chunk] === CHUNK.UNKNOWN) states[chunk] = CHUNK.ASKED;
    const { id: volumeId } = handle.volume;
    this.ports.clone({ what: 'clone', number: gate.number, volumeId, from, to }).then(
      (answer) => this.cloned(volumeId, gate, guard, from, to, answer?.isCloned === true),
      () => this.cloned(volumeId, gate, guard, from, to, false),
    );
  }

  /**
   * Handles the listener's answer to a request for chunks. If the chunks were not cloned, the moment is over, and the waiting changes
   * start.
   */
  private cloned(volumeId: string, gate: VolumeGate, guard: Guard, from: number, to: number, isCloned: boolean): void {
    if (gate.guard !== guard) return;
    if (!isCloned) {
      this.open(volumeId, gate);
      return;
    }
    guard.states.fill(CHUNK.CLONED, from, to + 1);
    this.tryAll(gate);
  }

  /** Starts the waiting changes that may start, in order of arrival. */
  private tryAll(gate: VolumeGate): void {
    for (const one of gate.parked.splice(0)) {
      if (gate.lets(one.change)) this.begin(one.handle, one.start, one.done);
      else this.park(gate, one);
    }
  }
}
