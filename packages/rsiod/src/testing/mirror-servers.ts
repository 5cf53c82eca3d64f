// Scripted servers for tests of the commands about mirrors. Each server has volumes, marks and at most one record for each mirror, and
// decides as a voter does. A test can make a step fail before or after the server has executed it. Invariant: the fields of a server
// contain everything that the server has.

import type { ReplicationView } from '@rsio/api/views/views';
import { RsError } from '@rsio/base/lib/errors';
import { volume as volumeView } from '@rsio/api/testing/server-views';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import { type StoredConfig, type Term, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { MirrorServer, VoteOrder } from '../mirrors/commands/mirror-server.ts';

interface ScriptedRecord {
  readonly voter: string;
  readonly founder: string;
  promise: Term | null;
  stored: StoredConfig | null;
}

/** `refused`: the server does not execute the step. `lost`: the server executes the step, but its answer is lost. */
export type Failure = 'refused' | 'lost';

interface ScriptedVolume {
  readonly sizeBytes: number;
  readonly request: string;
  /** Clients that hold the volume as a plain volume. */
  readonly holders?: readonly string[];
  mark: { readonly mirror: string; readonly identity: string } | null;
}

function holder(node: string): { readonly node: string; readonly address: string; readonly sinceMs: number } {
  return { node, address: '10.0.0.2', sinceMs: 0 };
}

/** Called before each step of each server, with a text such as `big-9 claim`. Returns how the step fails; null if it succeeds. */
export type Script = (step: string) => Failure | null;

interface Named {
  readonly name: string;
  readonly universe: number;
  readonly client: string;
}

export class ScriptedServer implements MirrorServer {
  readonly proofs = 1;
  readonly isConnected = true;

  readonly namespace = 'osl';
  readonly name: string;
  readonly serverid: number;
  trouble: RsError | null = null;
  /** The client whose session sends the requests. */
  client = { node: 'big-2', instance: 1 };
  mayFound = true;
  /** If true, the server shows its volumes to other clients only. */
  hides = false;
  /** Clients that may not attach the volumes. */
  readonly revoked = new Set<string>();
  readonly records = new Map<string, ScriptedRecord>();
  readonly stock = new Map<string, ScriptedVolume>();
  /** The snapshots of the server's volume, as in the answer to `volume-show`. */
  snapshots: readonly { readonly snapshot: string; readonly readers: number }[] = [];
  /** The replications of the server's volumes, as in the answer to `replication-list`, and the orders that it has got. */
  replications: readonly ReplicationView[] = [];
  readonly ordered: object[] = [];
  readonly removed = new Set<string>();
  private readonly script: Script;
  private ids = 0;

  constructor(name: string, serverid: number, script: Script) {
    this.name = name;
    this.serverid = serverid;
    this.script = script;
  }

  get volumes(): VolumeEntry[] {
    return [...this.stock].map(([key, { sizeBytes, mark, holders = [] }]) => {
      const [name = '', universe = '0'] = key.split('@');
      const entry = { name, universe: Number(universe), id: `${this.name}-${key}`, sizeBytes, blockSizeBytes: 512 as const };
      return { ...entry, readonly: false, shared: false, holders: holders.map(holder), ...(mark === null ? {} : { mirror: mark.mirror }) };
    });
  }

  /** Descriptions of all volumes, marks and records of the server. */
  get left(): string[] {
    const marks = [...this.stock.values()].filter(({ mark }) => mark !== null);
    return [
      ...[...this.stock.keys()].map((key) => `volume ${key}`),
      ...marks.map(() => 'mark'),
      ...[...this.records.keys()].map(() => 'record'),
    ];
  }

  async callAdmin(method: string, params: object): Promise<unknown> {
    return await this.step(method, () => {
      const {
        name,
        universe,
        sizeBytes = 0,
        request = '',
      } = params as { name: string; universe: number; sizeBytes?: number; request?: string };
      const key = `${name}@${universe}`;
      const there = this.stock.get(key);
      if (method === 'replication-list') return { replications: this.replications };
      if (method === 'volume-replicate') return this.ordered.push(params);
      if (method === 'volume-show') return { volume: this.shown(name, universe), snapshots: this.snapshots };
      if (method === 'volume-purge') {
        this.removed.delete((params as { id?: string }).id ?? '');
        return { purged: [], left: 0 };
      }
      if (method === 'volume-create') {
        if (there !== undefined && there.request !== request) throw new RsError('E_EXISTS', `Volume ${key} exists`);
        if (there === undefined) this.stock.set(key, { sizeBytes, request, mark: null });
        return { volume: volumeView({ name, universe, sizeBytes }) };
      }
      if (there === undefined) throw new RsError('E_UNKNOWN_VOLUME', `No volume ${key}`);
      if (method === 'volume-revoke' || method === 'volume-allow') return this.accessChanged(method, params as Named);
      if (there.mark !== null) throw new RsError('E_IN_USE', `Volume ${key} is a replica`);
      const [held] = there.holders ?? [];
      if (held !== undefined) throw new RsError('E_HELD', `Client ${held} holds volume ${key}`);
      if (method === 'volume-rename') {
        const { newName, newUniverse } = params as { newName: string; newUniverse: number };
        const newKey = `${newName}@${newUniverse}`;
        if (this.stock.has(newKey)) throw new RsError('E_EXISTS', `Volume ${newKey} exists`);
        this.stock.set(newKey, there);
        this.stock.delete(key);
        return { volume: volumeView({ name: newName, universe: newUniverse, sizeBytes: there.sizeBytes }) };
      }
      this.stock.delete(key);
      this.removed.add(`removed-${key}`);
      return { removed: { id: `removed-${key}` } };
    });
  }

  private accessChanged(method: 'volume-revoke' | 'volume-allow', { name, universe, client }: Named): object {
    const volume = this.shown(name, universe);
    if (method === 'volume-allow') {
      this.revoked.delete(client);
      return { volume, client };
    }
    this.revoked.add(client);
    return { volume, client, wasHeld: [...this.records.values()].some(({ promise }) => promise?.node === client) };
  }

  private shown(name: string, universe: number): ReturnType<typeof volumeView> {
    const there = this.hides ? undefined : this.stock.get(`${name}@${universe}`);
    if (there === undefined) throw new RsError('E_UNKNOWN_VOLUME', `No volume ${name}@${universe}`);
    const { sizeBytes, mark, holders = [] } = there;
    return volumeView({ name, universe, sizeBytes, mirror: mark?.mirror ?? null, holders: holders.map(holder) });
  }

  async vote(order: VoteOrder): Promise<VoteAnswer> {
    return await this.step(order.kind, () => this.decide(order));
  }

  private async step<T>(what: string, work: () => T): Promise<T> {
    await Promise.resolve();
    const failure = this.script(`${this.name} ${what}`);
    const lost = new RsError('E_TIMEOUT', `Server ${this.name} did not answer ${what}`, { isOutcomeUnknown: failure === 'lost' });
    if (failure === 'refused') throw lost;
    const result = work();
    if (failure === 'lost') throw lost;
    return result;
  }

  private decide(order: VoteOrder): VoteAnswer {
    const record = this.records.get(order.mirror);
    if (order.kind === 'found') return this.found(order, record);
    if (record === undefined || (record.stored === null && record.founder !== this.client.node))
      return this.answer(VOTED.UNKNOWN, 'No record');
    if (order.kind === 'record') return this.answer(VOTED.DONE, '', order.mirror);
    const term: Term = { number: order.number, ...this.client };
    const above = record.promise === null ? 1 : compareTerms(term, record.promise);
    if (above < 0) return this.answer(VOTED.SUPERSEDED, 'A higher term is promised', order.mirror);
    if (order.kind === 'claim') {
      const { promise, stored } = record;
      const hasEnded = promise !== null && stored?.config.clean === true && compareTerms(stored.term, promise) === 0;
      if (above > 0 && promise !== null && promise.node !== term.node && !hasEnded && !order.takesOver)
        return this.answer(VOTED.HELD, `Client ${promise.node} has the mirror`, order.mirror);
      record.promise = term;
      return this.answer(VOTED.DONE, '', order.mirror);
    }
    if (above > 0) return this.answer(VOTED.UNCLAIMED, 'Claim first', order.mirror);
    if (order.kind === 'config') record.stored = { term, config: order.config };
    if (order.kind === 'place') return this.place(order.mirror, `${order.volume}@${order.universe}`);
    if (order.kind === 'unplace') for (const volume of this.stock.values()) if (volume.mark?.mirror === order.mirror) volume.mark = null;
    const answer = this.answer(VOTED.DONE, '', order.mirror);
    if (order.kind === 'dismiss' && answer.replica !== null)
      return this.answer(VOTED.REFUSED, 'The replica must be removed first', order.mirror);
    if (order.kind === 'dismiss') this.records.delete(order.mirror);
    return answer;
  }

  private found({ mirror }: VoteOrder, record: ScriptedRecord | undefined): VoteAnswer {
    if (!this.mayFound) return this.answer(VOTED.REFUSED, 'This server is no witness');
    if (record !== undefined && record.promise !== null) return this.answer(VOTED.DIFFERENT, 'There is a record');
    if (record === undefined) this.records.set(mirror, { voter: this.newId(), founder: this.client.node, promise: null, stored: null });
    return this.answer(VOTED.DONE, '', mirror);
  }

  private place(mirror: string, key: string): VoteAnswer {
    const volume = this.stock.get(key);
    if (volume === undefined) return this.answer(VOTED.REFUSED, `No volume ${key}`, mirror);
    if (volume.mark !== null && volume.mark.mirror !== mirror)
      return this.answer(VOTED.DIFFERENT, `Volume ${key} is a replica of another mirror`, mirror);
    volume.mark = { mirror, identity: this.newId() };
    return this.answer(VOTED.DONE, '', mirror);
  }

  private answer(voted: number, sentence: string, mirror: string | null = null): VoteAnswer {
    const record = mirror === null ? undefined : this.records.get(mirror);
    const found = [...this.stock].find(([, { mark }]) => mark !== null && mark.mirror === mirror);
    const [name = '', universe = '0'] = found?.[0].split('@') ?? [];
    const identity = found?.[1].mark?.identity;
    const replica =
      found === undefined || identity === undefined
        ? null
        : { identity, incarnation: 'first', volume: name, universe: Number(universe), sizeBytes: found[1].sizeBytes };
    return { voted, sentence, voter: record?.voter ?? null, promise: record?.promise ?? null, stored: record?.stored ?? null, replica };
  }

  private newId(): string {
    this.ids++;
    return `${this.serverid}${this.ids}`.padStart(32, '0');
  }
}
