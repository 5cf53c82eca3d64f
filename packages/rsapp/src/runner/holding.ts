// The volumes of one application on this node: takes them, proves that this node holds them, writes the note, and gives them back. Invariants: a
// volume is taken from another node only if the servers of this volume agree that this node is silent; nothing starts before the servers have
// stored a new note of this node, which they refuse if another node has the volume meanwhile; a note that has changed is never overwritten.

import { isDeepStrictEqual } from 'node:util';
import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import { type ErrorCode, RsError, toRsError } from '@rsio/base/lib/errors';
import type { Seen } from '../decider/facts.ts';
import { changed, type Note, parseNote, printNote } from '../decider/note.ts';
import { type Attached, isNamed, type Sight } from '../sight/rsiod-sight.ts';

/** Refusals of a server that end by themselves: the node waits, and they do not count as failures of the node. */
const WAITING: readonly ErrorCode[] = ['E_HELD', 'E_TAKEN', 'E_BUSY', 'E_MOVED'];

export class Holding {
  private readonly app: Pick<ApplicationConfig, 'name' | 'nodes' | 'volumes' | 'silentMs'>;
  private readonly sight: Sight;

  constructor(app: Pick<ApplicationConfig, 'name' | 'nodes' | 'volumes' | 'silentMs'>, sight: Sight) {
    this.app = app;
    this.sight = sight;
  }

  get first(): string {
    return this.app.volumes[0] ?? '';
  }

  /** Returns what the servers say about the first volume. `trouble`: why its note cannot be read; null if it can. */
  async seen(holds: boolean): Promise<{ readonly node: string; readonly seen: Seen; readonly trouble: RsError | null }> {
    const { first, sight, app } = this;
    const { id: volumeId, node, isSure, holder, note } = await sight.facts(first, !holds);
    const others = app.nodes.filter((one) => one !== node);
    const silentMs = await sight.silentMs(first, [...new Set([...others, ...(holder === null ? [] : [holder])])]);
    const seen = { isSure, volumeId, holder: holds ? node : holder, silentMs };
    try {
      return { node, seen: { ...seen, note: parseNote(note, app.name) }, trouble: null };
    } catch (thrown) {
      return { node, seen: { ...seen, note: 'unreadable' }, trouble: toRsError(thrown) };
    }
  }

  /**
   * Attaches the first volume. `from`: the silent node that has it; null: none has. `noted`: the note on which the decision rests. Throws
   * E_HELD or E_BUSY if the decision does not fit any more; the volume is not attached then.
   */
  async takeFirst(from: string | null, noted: Note | null): Promise<void> {
    const { first } = this;
    if (from !== null) {
      const holder = await this.silentHolder(first);
      if (holder !== null && holder !== from) throw new RsError('E_HELD', `${first} is held by ${holder} now`);
    }
    await this.attachFirst(from !== null);
    try {
      // Until the volume was attached, another holder could have written. From now on, only this node writes.
      const { note, isSure, why } = await this.sight.facts(first, true);
      if (!isSure) throw new RsError('E_BUSY', `The note of ${this.app.name} cannot be read: ${why ?? 'too few servers answer'}`);
      if (!isDeepStrictEqual(parseNote(note, this.app.name), noted))
        throw new RsError('E_BUSY', `The note of ${this.app.name} has changed meanwhile, and is read again`);
    } catch (thrown) {
      await this.detach([first]);
      throw thrown;
    }
  }

  async attachFirst(take: boolean): Promise<void> {
    await this.sight.attach(this.first, take, this.app.name);
  }

  /** Attaches or claims the other volumes, and returns all. After an error, `isWaiting` tells whether its cause ends by itself. */
  async takeOthers(): Promise<readonly Attached[]> {
    const { sight } = this;
    const before = await this.attached();
    for (const volume of this.app.volumes.slice(1)) {
      const isHere = before.some((one) => isNamed(volume, one));
      await sight.attach(volume, !isHere && (await this.silentHolder(volume)) !== null, this.app.name);
    }
    const attached = await this.attached();
    for (const volume of this.app.volumes) {
      const one = attached.find((each) => isNamed(volume, each));
      if (one === undefined) throw new RsError('E_TAKEN', `${volume} was taken by another node meanwhile`);
      if (!one.isExclusive)
        throw new RsError(
          'E_CONFIG',
          `${volume} is shared or read-only here, so that two nodes could run ${this.app.name}: change its right`,
        );
    }
    return attached;
  }

  async held(): Promise<string[]> {
    const attached = await this.attached();
    return this.app.volumes.filter((volume) => attached.some((one) => isNamed(volume, one)));
  }

  /** The first volume is detached last, because another node may take the application after that. */
  async detach(volumes: readonly string[]): Promise<void> {
    for (const volume of volumes.toReversed()) await this.sight.detach(volume, this.app.name);
  }

  /**
   * Writes a note that the servers do not have, and returns it. `before`: the note that they have. An equal note would be answered without the
   * servers, and would prove nothing.
   */
  async write(note: Note, before: Note | null): Promise<Note> {
    const next = before !== null && before.changes >= note.changes ? changed(note, {}) : note;
    await this.sight.writeNote(this.first, printNote(next));
    return next;
  }

  private async attached(): Promise<readonly Attached[]> {
    return (await this.sight.volumes()).attached;
  }

  /** Returns the silent node that holds the volume; null if no other node holds it. Throws E_HELD if the servers see the holder. */
  private async silentHolder(volume: string): Promise<string | null> {
    const { holder, node, isSure, why } = await this.sight.facts(volume, true);
    if (!isSure) throw new RsError('E_BUSY', `It is not known who holds ${volume}: ${why ?? 'too few servers answer'}`);
    if (holder === null || holder === node) return null;
    const { [holder]: silentMs = 0 } = await this.sight.silentMs(volume, [holder]);
    if (silentMs >= this.app.silentMs) return holder;
    throw new RsError('E_HELD', `Node ${holder} holds ${volume}, and the servers see this node: detach it there`);
  }
}

export function isWaiting(thrown: unknown): boolean {
  return WAITING.includes(toRsError(thrown).code);
}
