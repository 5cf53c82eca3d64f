// The changes of snapshots in a drill, and the expected state afterwards. An answered change has happened. A change without an answer has
// happened or has not happened. Invariants: only one change at a time is in progress. If a change is repeated with its request id and
// answered, it has happened.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { callServer, type ServerCall } from '@rsio/api/rssrv/call-server';
import { toRsError } from '@rsio/base/lib/errors';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { EventClock } from './written-volume.ts';

const SNAPSHOTS_OF_VOLUME = 5;
const CLONES = 6;

/** A snapshot that exists or may exist. */
export interface KnownSnapshot {
  readonly volume: string;
  readonly name: string;
  /** Digest of the content of the snapshot; null: unknown. */
  digest: string | null;
  /** `from`: moment of the request. `to`: latest moment at which the snapshot can have been made. Null: no client wrote to the volume. */
  readonly window: readonly [from: number, to: number] | null;
  /** Identifies the snapshots of one request. */
  readonly group: string;
}

export interface Change {
  readonly kind: 'snapshot' | 'group' | 'remove' | 'clone' | 'rollback' | 'move';
  readonly text: string;
  readonly makes: readonly KnownSnapshot[];
  readonly removes: readonly KnownSnapshot[];
  /** The volume that the change creates, and the digest of its content; null: the change creates no volume. */
  readonly clones: { readonly name: string; readonly digest: string | null } | null;
  /** Digest of the content of the cold volume after the change. */
  readonly rollsTo: string | null;
  /** Name of the pool that has the moved volume after the change. */
  readonly movesTo: string | null;
  /** Requests the change. A further call repeats the same request. */
  ask(): Promise<unknown>;
}

export class KnownState {
  readonly snapshots = new Map<string, KnownSnapshot>();
  /** For each cloned volume: the digest of its content. */
  readonly clones = new Map<string, string | null>();
  /** Digest of the content of the cold volume, which no client has attached. */
  cold = '';

  of(volume: string): KnownSnapshot[] {
    return [...this.snapshots.values()].filter((one) => one.volume === volume);
  }

  happened({ makes, removes, clones, rollsTo }: Change): void {
    for (const one of makes) this.snapshots.set(keyOf(one), one);
    for (const one of removes) this.snapshots.delete(keyOf(one));
    if (clones !== null) this.clones.set(clones.name, clones.digest);
    if (rollsTo !== null) this.cold = rollsTo;
  }
}

export const COLD = 'cold';
/** Volumes that the client writes to. */
export const WRITTEN = ['db', 'log'] as const;

export const keyOf = ({ volume, name }: Pick<KnownSnapshot, 'volume' | 'name'>): string => `${volume}@${name}`;

export async function digestOf(file: string): Promise<string> {
  return createHash('sha1')
    .update(await readFile(file))
    .digest('hex');
}

export class SnapshotChanges {
  private readonly state: KnownState;
  private readonly clock: EventClock;
  private readonly random: SeededRandom;
  private readonly call: ServerCall;
  private numbers = 0;

  constructor(socket: string, state: KnownState, clock: EventClock, random: SeededRandom) {
    this.call = (method, params) => callServer(socket, method, params);
    this.state = state;
    this.clock = clock;
    this.random = random;
  }

  /** Chooses a change that is possible now. */
  next(): Change {
    const { random, state } = this;
    const full = [...WRITTEN, COLD].find((volume) => state.of(volume).length >= SNAPSHOTS_OF_VOLUME);
    if (full !== undefined) return this.removal(random.chance(0.7) ? state.of(full)[0]! : random.pick(state.of(full)));
    const known = [...state.snapshots.values()].filter(({ digest }) => digest !== null);
    const cold = known.filter(({ volume }) => volume === COLD);
    const kind = random.int(1, 5);
    if (kind === 1 && known.length > 0) return this.removal(random.pick(known));
    if (kind === 2 && cold.length > 0) return this.rollback(random.pick(cold));
    if (kind === 3 && known.length > 0 && state.clones.size < CLONES) return this.clone(random.pick(known));
    if (kind === 4) return this.snapshots([random.pick([...WRITTEN, COLD])]);
    return this.snapshots(random.chance(0.7) ? WRITTEN : [...WRITTEN, COLD]);
  }

  snapshots(volumes: readonly string[]): Change {
    const name = `s${++this.numbers}`;
    const [from, request] = [this.clock.now(), crypto.randomUUID()];
    const makes = volumes.map((volume): KnownSnapshot => {
      // The end of the window is set when the change is over.
      const window = volume === COLD ? null : ([from, Infinity] as const);
      return { volume, name, digest: volume === COLD ? this.state.cold : null, window, group: request };
    });
    const asked = volumes.map((volume) => ({ name: volume, universe: 0, snapshot: name }));
    return {
      ...NOTHING,
      kind: volumes.length > 1 ? 'group' : 'snapshot',
      text: `snapshot ${volumes.map((volume) => `${volume}@${name}`).join(' ')}`,
      makes,
      ask: () => this.call('volume-snapshot', { snapshots: asked, request }),
    };
  }

  private removal(one: KnownSnapshot): Change {
    const request = crypto.randomUUID();
    return {
      ...NOTHING,
      kind: 'remove',
      text: `remove ${keyOf(one)}`,
      removes: [one],
      ask: () => this.call('volume-snapshot-remove', { name: one.volume, universe: 0, snapshot: one.name, request }),
    };
  }

  private clone(one: KnownSnapshot): Change {
    const [newName, request] = [`clone${++this.numbers}`, crypto.randomUUID()];
    return {
      ...NOTHING,
      kind: 'clone',
      text: `clone ${keyOf(one)} ${newName}`,
      clones: { name: newName, digest: one.digest },
      ask: () => this.call('volume-clone', { name: one.volume, universe: 0, snapshot: one.name, newName, newUniverse: 0, request }),
    };
  }

  private rollback(one: KnownSnapshot): Change {
    const request = crypto.randomUUID();
    // The server chooses the rest of the name. The drill therefore accepts each name with this beginning.
    const kept: KnownSnapshot = { volume: COLD, name: `${BEFORE_ROLLBACK}?`, digest: this.state.cold, window: null, group: request };
    return {
      ...NOTHING,
      kind: 'rollback',
      text: `rollback ${keyOf(one)}`,
      makes: [kept],
      rollsTo: one.digest,
      ask: () => this.call('volume-rollback', { name: COLD, universe: 0, snapshot: one.name, request }),
    };
  }
}

export const BEFORE_ROLLBACK = 'before-rollback-';

export const NOTHING: Omit<Change, 'kind' | 'text' | 'ask'> = { makes: [], removes: [], clones: null, rollsTo: null, movesTo: null };

/** The volumes and snapshots of a server, with the files of their contents. */
export interface Present {
  /** For each volume: its data file. */
  readonly volumes: ReadonlyMap<string, string>;
  /** For each snapshot, such as `db@s1`: its data file. */
  readonly snapshots: ReadonlyMap<string, string>;
}

export async function presentOn(socket: string): Promise<Present> {
  const { volumes } = await callServer(socket, 'volume-list', { pool: null });
  const snapshots = new Map<string, string>();
  for (const { name, universe, path: file } of volumes) {
    if (file === null) throw new Error(`Volume ${name} is in no file`);
    const shown = await callServer(socket, 'volume-show', { name, universe });
    for (const { snapshot } of shown.snapshots)
      snapshots.set(`${name}@${snapshot}`, path.join(path.dirname(file), 'snapshots', `${snapshot}.data`));
  }
  return { volumes: new Map(volumes.map(({ name, path: file }) => [name, file!])), snapshots };
}

/** Whether the error says that the change is not possible now and that nothing was done. */
export function isBusy(error: unknown): boolean {
  return toRsError(error).code === 'E_BUSY';
}
