// Writes and reads the gate records of volumes for the sessions of clients (docs/PROTOCOL.md D2). A record is a file in the folder of its
// volume in the pool (pools/disk/gate-record.ts). Invariants: a record is replaced only in the turn of its volume's holds, right after a
// check of the holder, and the turn lasts until the storage has answered. No write of a former holder is therefore stored after another
// client was granted the volume. A record that cannot be read is an error, and never counts as a missing record. Rules: D2.

import { GATE_RECORD_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { counter, type KindsOf, matching, token } from '@rsio/protocol/wire/guards';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { STATUS, type Status, statusEntry, statusOfErrno } from '@rsio/protocol/wire/status';
import { clientText } from '../../pools/requests/client-text.ts';
import type { Pools } from '../../pools/pools.ts';
import { isFor, type ServedVolume } from '../../storage/io/served-volume.ts';
import type { Fences } from '../fences.ts';
import type { Volumes } from '../volumes.ts';
import type { ClientIdentity } from './grants.ts';
import type { Holds } from './holds.ts';
import type { SharedPools } from './shared-pools.ts';

/** Bytes travel between the processes as base64. */
const recordText = matching(
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  4 * Math.ceil(GATE_RECORD_MAX_BYTES / 3),
  `base64 of at most ${GATE_RECORD_MAX_BYTES} bytes`,
);

export const RECORD_ASKS = {
  'record-read': { volumeId: token },
  /** `epoch`: the epoch of the grant that opened the handle. */
  'record-write': { volumeId: token, epoch: counter, record: recordText },
};
export type RecordAsk = KindsOf<'what', typeof RECORD_ASKS>;

/** `record`: the record that was read; null if there is no record, and in all other answers. */
export interface RecordReply {
  readonly recordStatus: Status;
  readonly sentence: string;
  readonly record: string | null;
}

export interface RecordAsker {
  readonly client: ClientIdentity;
  /** Returns true while the session of the client exists. */
  isThere(): boolean;
}

interface GateRecordsParts {
  readonly log: Pick<Log, 'error'>;
  readonly limitedLog: Pick<RateLimitedLog, 'note'>;
  readonly holds: Pick<Holds, 'asWriter'>;
  readonly volumes: Pick<Volumes, 'served'>;
  readonly pools: Pick<Pools, 'onLedger'>;
  readonly fences: Pick<Fences, 'order'>;
  readonly shared: Pick<SharedPools, 'isMine'>;
}

export class GateRecords {
  private readonly parts: GateRecordsParts;
  /** Maps the id of each volume whose record is being replaced to this replacement. */
  private readonly replacing = new Map<string, Promise<unknown>>();

  constructor(parts: GateRecordsParts) {
    this.parts = parts;
  }

  /** Answers a request of a session. A written record is durable when the promise resolves with OK. */
  async answer(asker: RecordAsker, ask: RecordAsk): Promise<RecordReply> {
    try {
      return ask.what === 'record-read' ? await this.read(asker.client.node, ask.volumeId) : await this.write(asker, ask);
    } catch (thrown) {
      return this.failed(asker.client.node, ask.volumeId, toRsError(thrown));
    }
  }

  /** Resolves when each replacement of the volume's record that began before the call has ended. */
  async idle(volumeId: string): Promise<void> {
    await this.replacing.get(volumeId);
  }

  private async read(node: string, volumeId: string): Promise<RecordReply> {
    const volume = this.parts.volumes.served.find((one) => one.id === volumeId);
    if (volume === undefined || !isFor(volume, node)) return refusal(STATUS.UNKNOWN_VOLUME, 'The server has no volume of this id');
    const why = whyNone(volume);
    if (why !== null) return refusal(STATUS.UNSUPPORTED, why);
    const { ids: [poolId = ''] = [], ownership } = volume.pool ?? {};
    const record = await this.parts.pools.onLedger(poolId, (files) => files.readRecord(volumeId));
    // A server that has lost the pool may have read an old record.
    if (ownership !== undefined && !(await this.parts.shared.isMine(poolId, ownership.generation, false))) return refusal(STATUS.MOVED);
    return { recordStatus: STATUS.OK, sentence: '', record: record?.toString('base64') ?? null };
  }

  private async write(asker: RecordAsker, ask: Extract<RecordAsk, { what: 'record-write' }>): Promise<RecordReply> {
    const { volumeId, epoch } = ask;
    const { client } = asker;
    const record = Buffer.from(ask.record, 'base64');
    const reply = await this.parts.fences.order(client.node, () =>
      this.parts.holds.asWriter(volumeId, client, epoch, async () => {
        // A volume that is not served is changing its pool or its file, and its clients open it again.
        const volume = this.parts.volumes.served.find((one) => one.id === volumeId);
        if (volume === undefined || !asker.isThere()) return refusal(STATUS.STALE);
        const why = whyNone(volume);
        if (why !== null) return refusal(STATUS.UNSUPPORTED, why);
        const replaced = this.replace(volume.pool?.ids[0] ?? '', volumeId, record);
        const ended = replaced.catch(() => undefined).finally(() => this.replacing.delete(volumeId));
        this.replacing.set(volumeId, ended);
        await replaced;
        return { recordStatus: STATUS.OK, sentence: '', record: null };
      }),
    );
    return reply ?? refusal(STATUS.STALE);
  }

  /**
   * Replaces the record durably. Ends only when the storage has answered, even if the pool has already stopped waiting for the change
   * (E_TIMEOUT).
   */
  private async replace(poolId: string, volumeId: string, record: Buffer): Promise<void> {
    let begun: Promise<void> | null = null;
    let isGivenUp = false;
    try {
      await this.parts.pools.onLedger(poolId, (files) => {
        if (isGivenUp) throw new RsError('E_POOL', 'The change was given up before it began');
        begun = files.replaceRecord(volumeId, record);
        return begun;
      });
    } catch (thrown) {
      isGivenUp = true;
      await (begun as Promise<void> | null)?.catch(() => undefined);
      throw thrown;
    }
  }

  private failed(node: string, volumeId: string, error: RsError): RecordReply {
    const { errno } = error.context;
    const volume = this.parts.volumes.served.find((one) => one.id === volumeId)?.name ?? volumeId;
    this.parts.limitedLog.note(`Gate records for node ${node} that failed`, () =>
      this.parts.log.error(`Node ${node}: the gate record of volume ${volume}: ${error.message}`),
    );
    const status = typeof errno === 'string' ? statusOfErrno(errno) : STATUS.IO_ERROR;
    if (status === STATUS.NO_SPACE) return refusal(status, `The pool of volume ${volume} is full, and the old gate record stays`);
    const what = `The gate record of volume ${volume} cannot be used`;
    return refusal(STATUS.IO_ERROR, clientText(error.message, error.code === 'E_VOLUME' ? `${what}, because its file is damaged` : what));
  }
}

/** Returns the reason, as a text for the client, why the volume has no gate record; null if the volume can have one. */
function whyNone({ name, pool, replica, shared }: ServedVolume): string | null {
  if (replica !== undefined) return `Volume ${name} is a replica of a mirror, and a mirror has no gate record`;
  if (shared) return `Volume ${name} is shared, and a gate record has one holder`;
  return pool === undefined ? `Volume ${name} is in no pool, and a gate record lies in the pool of its volume` : null;
}

function refusal(recordStatus: Status, sentence = statusEntry(recordStatus).sentence): RecordReply {
  return { recordStatus, sentence, record: null };
}
