// Judges the volumes that commands create, grow, rename, change, remove and restore at one server (docs/PROTOCOL.md, C1 to C4). The judge
// works from the outside: it sees all orders of administrators, the answers, and the content of the disk. The oracle judges the content of
// volumes. Invariant: the judge observes and changes nothing.

import type { SimDisk, SimFolder } from '../storage/sim-disk.ts';

export interface VolumeState {
  readonly place: 'volumes' | 'removed';
  readonly name: string;
  readonly sizeBytes: number;
  readonly takeOver: string | null;
  /** The clients that may attach the volume; null: all clients. */
  readonly clients: string | null;
}

interface Pending {
  /** Null: the order creates a volume. */
  readonly id: string | null;
  readonly after: VolumeState;
}

/** Users of a volume that an order removes or renames. */
export interface JudgedUse {
  /** Name of the node that holds the volume. Null: no node holds it. */
  readonly holder: string | null;
}

const BREACHES_MAX = 20;

export class PoolJudge {
  readonly breaches: string[] = [];
  /** By volume id: the state that was answered last. */
  private readonly answeredStates = new Map<string, VolumeState>();
  /** Unanswered orders by request id. */
  private readonly pending = new Map<string, Pending>();
  private readonly server: string;
  private readonly disk: SimDisk;
  private readonly nowMs: () => number;
  /** Number of answered orders. */
  done = 0;

  constructor(server: string, disk: SimDisk, nowMs: () => number) {
    this.server = server;
    this.disk = disk;
    this.nowMs = nowMs;
  }

  stateOf(id: string): VolumeState | null {
    return this.answeredStates.get(id) ?? null;
  }

  asks(request: string, id: string | null, after: VolumeState): void {
    this.pending.set(request, { id, after });
  }

  /** An order was answered. After this, the disk must have the result of the order (C1). */
  answered(request: string, id: string): void {
    const { id: asked, after } = this.pending.get(request)!;
    this.pending.delete(request);
    this.done++;
    if (asked !== null && asked !== id) {
      this.breach(`C1: an order for volume ${asked} is executed on ${id}`);
      return;
    }
    const folder = this.disk.durable.get(id);
    const lengthBytes = this.disk.durableLengthOf(id);
    if (folder === undefined || !isIn(folder, after))
      this.breach(`C1: ${textOf(after)} is answered, and ${folder === undefined ? 'nothing' : textOf(stateIn(folder))} is durable`);
    if (lengthBytes < after.sizeBytes) this.breach(`C1: ${textOf(after)} is answered, and ${lengthBytes} bytes of its file are durable`);
    this.answeredStates.set(id, after);
  }

  /** The order was refused. The refused order must not have changed the volume. */
  refused(request: string, code: string): void {
    const pending = this.pending.get(request);
    this.pending.delete(request);
    if (pending === undefined) return;
    const { id, after } = pending;
    const before = id === null ? null : this.stateOf(id);
    const made = id === null ? this.made(after) : this.disk.shown.get(id);
    if (made !== undefined && isIn(made, after) && (before === null || !isIn(made, before)))
      this.breach(`C1: ${textOf(after)} is refused with ${code}, and is done all the same`);
  }

  /** A repeated request got an answer. The answer must be the one that the request got before (C4). */
  repeated(request: string, id: string, answer: string): void {
    if (answer !== id) this.breach(`C4: request ${request} is answered with ${id}, and with ${answer} when it is repeated`);
    this.look('after a repeated request');
  }

  /** Expects that every volume has the state of the last answer, or the state that an unanswered order would give it (C1). */
  look(when: string): void {
    for (const [id, state] of this.answeredStates) {
      const folder = this.disk.shown.get(id);
      if (folder !== undefined && this.isRight(folder, id, state)) continue;
      this.breach(`C1: ${textOf(state)} is ${folder === undefined ? 'gone' : textOf(stateIn(folder))} ${when}`);
    }
    const created = [...this.pending.values()].filter(({ id }) => id === null);
    for (const [id, folder] of this.disk.shown) {
      if (this.disk.lengthOf(id) < folder.manifest.sizeBytes)
        this.breach(`C1: ${textOf(stateIn(folder))} has a file of ${this.disk.lengthOf(id)} bytes ${when}`);
      if (this.answeredStates.has(id)) continue;
      const same = created.filter(({ after }) => isIn(folder, after));
      if (same.length === 0) this.breach(`C1: ${textOf(stateIn(folder))} is there ${when}, and nobody made it`);
    }
    for (const { after } of created)
      if ([...this.disk.shown].filter(([id, folder]) => !this.answeredStates.has(id) && isIn(folder, after)).length > 1)
        this.breach(`C4: ${textOf(after)} was created more than once`);
  }

  /** C1: the server must not show clients a size that is not durable yet. */
  serves(id: string, name: string, sizeBytes: number): void {
    const folder = this.disk.durable.get(id);
    const durableBytes = Math.min(folder?.manifest.sizeBytes ?? 0, this.disk.durableLengthOf(id));
    if (durableBytes < sizeBytes) this.breach(`C1: volume ${name} is served with ${sizeBytes} bytes, of which ${durableBytes} are durable`);
  }

  /** Expects that no holder has the volume, because an order must not take a volume from its holder (C3). */
  takes(what: string, name: string, { holder }: JudgedUse): void {
    if (holder !== null) this.breach(`C3: volume ${name} is ${what} while ${holder} holds it`);
  }

  breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`${this.server} at ${this.nowMs().toFixed(1)} ms: ${sentence}`);
  }

  private isRight(folder: SimFolder, id: string, state: VolumeState): boolean {
    return isIn(folder, state) || [...this.pending.values()].some((pending) => pending.id === id && isIn(folder, pending.after));
  }

  private made(after: VolumeState): SimFolder | undefined {
    return [...this.disk.shown].find(([id, folder]) => !this.answeredStates.has(id) && isIn(folder, after))?.[1];
  }
}

function stateIn({ place, manifest: { name, sizeBytes, takeOver, clients } }: SimFolder): VolumeState {
  return { place, name, sizeBytes, takeOver: takeOver?.join() ?? null, clients: clients?.toSorted().join() ?? null };
}

function isIn(folder: SimFolder, state: VolumeState): boolean {
  const found = stateIn(folder);
  return (
    found.place === state.place &&
    found.name === state.name &&
    found.sizeBytes === state.sizeBytes &&
    found.takeOver === state.takeOver &&
    found.clients === state.clients
  );
}

function textOf({ place, name, sizeBytes, takeOver, clients }: VolumeState): string {
  const settings = `${takeOver === null ? '' : `, take-over ${takeOver}`}${clients === null ? '' : `, clients ${clients}`}`;
  return `volume ${name} of ${sizeBytes} bytes${settings}${place === 'removed' ? ', removed,' : ''}`;
}
