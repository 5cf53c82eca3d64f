// The gate record of one volume, in memory. The scene uses the production code of holds and gate records, and a pool that answers when the
// test lets it. Two clients open the volume, take it over and write. Invariant: no file is written, because the volume is in a pool, whose
// ledger is a stand-in.

import { RsError } from '@rsio/base/lib/errors';
import type { OpenRequest } from '@rsio/protocol/wire/messages';
import type { PoolFiles } from '../pools/disk/pool-files.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { GateRecords, type RecordReply } from '../volumes/holds/gate-records.ts';
import type { ClientIdentity, Grant } from '../volumes/holds/grants.ts';
import { Holds } from '../volumes/holds/holds.ts';
import { MARS, OPEN, QUIET, VOLUME } from './contenders.ts';

export const POOL = { ids: ['pool'], isThick: false };

export class RecordScene {
  readonly holds = new Holds('/nowhere/holders.json', () => 0, QUIET, {
    save: () => Promise.resolve(),
    isDirty: () => false,
    doubt: () => undefined,
  });
  volume: ServedVolume = { ...VOLUME, pool: POOL };
  isServed = true;
  isThere = true;
  isMine = true;
  record: Buffer | null = null;
  readonly logged: string[] = [];
  /** Replacements wait for this promise. */
  storage: Promise<unknown> = Promise.resolve();
  /** When this promise resolves, the pool stops waiting for a change, which then fails with E_TIMEOUT. */
  limit: Promise<unknown> = new Promise(() => undefined);
  /** The change of the pool begins when this promise resolves. */
  place: Promise<unknown> = Promise.resolve();
  readonly records = new GateRecords({
    log: { error: (line) => this.logged.push(line) },
    limitedLog: { note: (_name, line) => line() },
    holds: this.holds,
    volumes: this,
    pools: {
      onLedger: (_poolId, work) => {
        const ended = this.place.then(() => work(this.files as unknown as PoolFiles));
        const late = this.limit.then(() => Promise.reject(new RsError('E_TIMEOUT', 'Pool fast does not answer')));
        return Promise.race([ended, late]);
      },
    },
    fences: { order: (_node, work) => work() },
    shared: { isMine: () => Promise.resolve(this.isMine) },
  });
  readonly files = {
    replaceRecord: async (_id: string, record: Buffer) => {
      await this.storage;
      this.record = record;
    },
    readRecord: () => Promise.resolve(this.record),
  };

  get served(): readonly ServedVolume[] {
    return this.isServed ? [this.volume] : [];
  }

  open(client: ClientIdentity, request: OpenRequest = OPEN): Promise<Grant> {
    return this.holds.grant('id', client, request, {
      find: () => this.volume,
      role: () => null,
      incarnation: () => 'life',
      revokeHold: () => Promise.resolve(true),
      sync: () => Promise.resolve(),
      incarnationEnded: () => Promise.resolve(),
      isWanted: () => true,
      promiseOf: () => null,
      tookOver: () => undefined,
      disputedMs: () => 0,
      pause: () => Promise.resolve(),
    });
  }

  async opens(client: ClientIdentity, request?: OpenRequest): Promise<number> {
    const grant = await this.open(client, request);
    if (!grant.granted) throw new Error(grant.sentence);
    return grant.epoch;
  }

  write(client: ClientIdentity, epoch: number, text: string): Promise<RecordReply> {
    const ask = { what: 'record-write', volumeId: 'id', epoch, record: Buffer.from(text).toString('base64') } as const;
    return this.records.answer({ client, isThere: () => this.isThere }, ask);
  }

  read(client: ClientIdentity = MARS, volumeId = 'id'): Promise<RecordReply> {
    return this.records.answer({ client, isThere: () => true }, { what: 'record-read', volumeId });
  }
}
