// Reads and writes the gate record of a volume (docs/PROTOCOL.md D2) for its frontends, and asks about other nodes. Invariants: every call ends within
// GATE_RECORD_TIMEOUT_MS. A write is sent only when the server can no longer execute an earlier one, so that a late write never reverts a newer
// record. A write that has failed with E_TIMEOUT may still be executed, and the caller writes again. Rules: D2.

import { counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { GATE_RECORD_MAX_BYTES } from '../wire/limits.ts';
import { IOCTL, NodesSeenAnswer, NodesSeenRequest, RecordAnswer, RecordReadRequest, RecordWriteRequest } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { GATE_RECORD_CALLS_MAX, GATE_RECORD_TIMEOUT_MS } from './limits.ts';
import type { SessionAnswer } from './session-call.ts';

/** Sends an IOCTL. `answered` is called once, possibly only in a later session. */
export type SendIoctl = (aux: number, body: Buffer, answered: (answer: SessionAnswer) => void) => void;

/** Error codes of refusals; any other refusal is E_VOLUME. The context of each error has the `status`. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  [STATUS.UNKNOWN_VOLUME]: 'E_UNKNOWN_VOLUME',
  [STATUS.TAKEN]: 'E_TAKEN',
  [STATUS.STALE]: 'E_TAKEN',
  [STATUS.MOVED]: 'E_MOVED',
  [STATUS.READ_ONLY]: 'E_READONLY',
  [STATUS.NO_SPACE]: 'E_SPACE',
  [STATUS.OUT_OF_MEMORY]: 'E_LIMIT',
  [STATUS.SHUTTING_DOWN]: 'E_SHUTTING_DOWN',
  [STATUS.OUTCOME_UNKNOWN]: 'E_TIMEOUT',
};

export class RecordCalls {
  private readonly clock: Clock;
  private readonly send: SendIoctl;
  /** Number of calls without an answer, including those that have reached their time limit. */
  private unanswered = 0;
  private isWriting = false;
  private readonly waitingWrites: (() => void)[] = [];

  constructor(clock: Clock, send: SendIoctl) {
    this.clock = clock;
    this.send = send;
  }

  /**
   * Resolves with the record of the volume, or with null if it has none. Rejects with E_TIMEOUT after GATE_RECORD_TIMEOUT_MS, with E_LIMIT if too
   * many calls wait, and with the server's refusal, whose status is in the context (UNSUPPORTED if the volume cannot have a record).
   */
  read(volumeId: string): Promise<Buffer | null> {
    return this.limited((ended, isOver) => {
      if (isOver()) return;
      this.call(IOCTL.RECORD_READ, RecordReadRequest.encode({ id: volumeId }), (answer) => {
        const [body = Buffer.alloc(0)] = answer.bodies;
        ended(answer, () => RecordAnswer.decode(body, 0, body.length).record);
      });
    });
  }

  /**
   * Resolves with the times for which the server has had no path of each node (NODES_SEEN). `id`: id of a volume or of a mirror. Rejects like
   * `read`; a server of an earlier release refuses with UNSUPPORTED or STALE.
   */
  nodesSeen(id: string, nodes: readonly string[]): Promise<readonly (number | null)[]> {
    return this.limited((ended, isOver) => {
      if (isOver()) return;
      this.call(IOCTL.NODES_SEEN, NodesSeenRequest.encode({ id, nodes }), (answer) => {
        const [body = Buffer.alloc(0)] = answer.bodies;
        ended(answer, () => {
          const { silentMs } = NodesSeenAnswer.decode(body, 0, body.length);
          if (silentMs.length !== nodes.length) throw new RsError('E_PROTOCOL', 'NODES_SEEN answer: one time for each node is needed');
          return silentMs;
        });
      });
    });
  }

  /**
   * Replaces the record of the volume. Resolves when the record is durable. Rejects like `read`; after E_TIMEOUT, it is not known which
   * record the volume has. Rejects with E_USAGE if the record is longer than GATE_RECORD_MAX_BYTES.
   */
  write(record: Buffer): Promise<void> {
    if (record.length > GATE_RECORD_MAX_BYTES)
      return Promise.reject(new RsError('E_USAGE', `A gate record has ${record.length} bytes, more than ${GATE_RECORD_MAX_BYTES}`));
    const body = RecordWriteRequest.encode({ record });
    return this.limited((ended, isOver) => {
      const begin = (): void => {
        if (isOver()) return this.nextWrite();
        this.isWriting = true;
        this.call(IOCTL.RECORD_WRITE, body, (answer) => {
          this.nextWrite();
          ended(answer, () => undefined);
        });
      };
      if (this.isWriting) this.waitingWrites.push(begin);
      else begin();
    });
  }

  private nextWrite(): void {
    this.isWriting = false;
    this.waitingWrites.shift()?.();
  }

  private call(aux: number, body: Buffer, answered: (answer: SessionAnswer) => void): void {
    this.unanswered++;
    this.send(aux, body, (answer) => {
      this.unanswered = counted(this.unanswered - 1, 'calls about gate records');
      answered(answer);
    });
  }

  /** Executes a call with the time limit. `ended` takes the answer, and the function that decodes an OK answer. */
  private limited<T>(begin: (ended: (answer: SessionAnswer, decode: () => T) => void, isOver: () => boolean) => void): Promise<T> {
    if (this.unanswered + this.waitingWrites.length >= GATE_RECORD_CALLS_MAX)
      return Promise.reject(new RsError('E_LIMIT', `${GATE_RECORD_CALLS_MAX} calls about the gate record already wait: try again later`));
    return new Promise((resolve, reject) => {
      let isOver = false;
      const timer = this.clock.after(GATE_RECORD_TIMEOUT_MS, () => {
        isOver = true;
        reject(new RsError('E_TIMEOUT', `The server has not answered within ${printDuration(GATE_RECORD_TIMEOUT_MS)}: try again`));
      });
      const ended = ({ status, sentence }: SessionAnswer, decode: () => T): void => {
        timer.cancel();
        if (status !== STATUS.OK) return reject(new RsError(CODES[status] ?? 'E_VOLUME', sentence, { status }));
        try {
          resolve(decode());
        } catch (thrown) {
          reject(thrown as Error);
          // The path that carried a malformed answer ends.
          throw thrown;
        }
      };
      begin(ended, () => isOver);
    });
  }
}
