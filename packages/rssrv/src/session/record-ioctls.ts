// Answers, in a worker, the ioctls about gate records and other nodes: asks the listener, which has the pools, the holds and the sessions
// (volumes/holds/gate-records.ts, server/nodes-seen.ts).
// Invariant: every ioctl is answered, even if the listener has ended; a session has at most GATE_RECORDS_PER_SESSION_MAX of them in progress.
// Rules: D2.

import { counted } from '@rsio/base/lib/assert';
import { toRsError } from '@rsio/base/lib/errors';
import { NodesSeenAnswer, NodesSeenRequest, RecordAnswer, RecordReadRequest, RecordWriteRequest } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { IoctlEvents, IoctlHandle } from './ioctls.ts';
import type { RecordAsk, RecordReply } from '../volumes/holds/gate-records.ts';
import type { NodesAsk, NodesReply } from '../volumes/holds/node-asks.ts';
import { GATE_RECORDS_PER_SESSION_MAX } from './limits.ts';

export interface RecordPorts {
  /** Asks the listener. Resolves with null if the listener has ended, or could not answer. */
  askRecord(ask: RecordAsk): Promise<RecordReply | null>;
  /** As askRecord. */
  askNodes(ask: NodesAsk): Promise<NodesReply | null>;
}

interface Answer {
  readonly status: Status;
  readonly sentence: string;
  body(): Buffer | null;
}

type RecordEvents = Pick<IoctlEvents, 'done' | 'refused'>;
type RecordHandle = Pick<IoctlHandle, 'volume' | 'epoch' | 'readonly'>;

export class RecordIoctls {
  private readonly ports: RecordPorts;
  private underWay = 0;

  constructor(ports: RecordPorts) {
    this.ports = ports;
  }

  /** Answers RECORD_READ, which needs no handle. Throws E_PROTOCOL if the request is not well formed. */
  async read(body: Buffer, events: RecordEvents): Promise<void> {
    const { id } = RecordReadRequest.decode(body, 0, body.length);
    await this.ask({ what: 'record-read', volumeId: id }, events, ({ record }) =>
      RecordAnswer.encode({ record: record === null ? null : Buffer.from(record, 'base64') }),
    );
  }

  /** Answers RECORD_WRITE on a handle. Throws E_PROTOCOL if the request is not well formed. */
  async write({ volume, epoch, readonly }: RecordHandle, body: Buffer, events: RecordEvents): Promise<void> {
    const { record } = RecordWriteRequest.decode(body, 0, body.length);
    if (readonly) return events.refused(STATUS.READ_ONLY, statusEntry(STATUS.READ_ONLY).sentence);
    await this.ask({ what: 'record-write', volumeId: volume.id, epoch, record: record.toString('base64') }, events, () => null);
  }

  /** Answers NODES_SEEN, which needs no handle. Throws E_PROTOCOL if the request is not well formed. */
  async nodesSeen(body: Buffer, events: RecordEvents): Promise<void> {
    const ask: NodesAsk = { what: 'nodes-seen', ...NodesSeenRequest.decode(body, 0, body.length) };
    await this.within(async () => {
      const reply = await this.ports.askNodes(ask);
      return reply === null ? null : { status: reply.nodesStatus, sentence: reply.sentence, body: () => NodesSeenAnswer.encode(reply) };
    }, events);
  }

  private async ask(ask: RecordAsk, events: RecordEvents, bodyOf: (reply: RecordReply) => Buffer | null): Promise<void> {
    await this.within(async () => {
      const reply = await this.ports.askRecord(ask);
      return reply === null ? null : { status: reply.recordStatus, sentence: reply.sentence, body: () => bodyOf(reply) };
    }, events);
  }

  private async within(ask: () => Promise<Answer | null>, events: RecordEvents): Promise<void> {
    if (this.underWay >= GATE_RECORDS_PER_SESSION_MAX)
      return events.refused(
        STATUS.OUT_OF_MEMORY,
        `The session has ${GATE_RECORDS_PER_SESSION_MAX} requests for gate records under way: ask again later`,
      );
    this.underWay++;
    const lost = (thrown: unknown): Answer => ({ status: STATUS.IO_ERROR, sentence: toRsError(thrown).message, body: () => null });
    const reply = await ask().catch(lost);
    this.underWay = counted(this.underWay - 1, 'requests for gate records');
    if (reply === null) return events.refused(STATUS.SHUTTING_DOWN, statusEntry(STATUS.SHUTTING_DOWN).sentence);
    if (reply.status === STATUS.OK) events.done(reply.body());
    else events.refused(reply.status, reply.sentence);
  }
}
