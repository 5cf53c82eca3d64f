// Refuses connections that have proven a key. Invariant: a refusal is sent to the client and logged at a limited rate.

import type { Socket } from 'node:net';
import type { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { type Proven, provedRefusal } from '@rsio/protocol/auth/handshake-server';
import { eventOf } from '../events/event-log.ts';
import { sendRefusal } from './unproven-connection.ts';

export class Refusals {
  private readonly log: Pick<Log, 'warn'>;
  private readonly limitedLog: RateLimitedLog;

  constructor(log: Pick<Log, 'warn'>, limitedLog: RateLimitedLog) {
    this.log = log;
    this.limitedLog = limitedLog;
  }

  refuse(socket: Socket, proven: Proven, error: RsError): void {
    const { node } = proven.hello;
    const why = `${error.message} [${error.code}]`;
    const write = (): void =>
      this.log.warn(`Refused ${socket.remoteAddress ?? '?'}: ${why}`, eventOf(`client ${node}`, '-', 'refused', why));
    this.limitedLog.note(`Refused connections of node ${node}`, write);
    sendRefusal(socket, provedRefusal(proven, error.code, error.message));
  }
}
