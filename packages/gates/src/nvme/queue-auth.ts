// Authentication Send and Receive on one connection: passes the host's messages to dh-chap.ts and the answers back to the host. Invariants:
// until the host is proven, the connection executes nothing else; at most one message is being judged; a host that was proven and then
// fails is cut off.

import type { NvmeConnectionEvents } from './connection-ports.ts';
import type { ConnectRequest } from './connect-request.ts';
import type { NvmeCommand } from './nvme-command.ts';
import type { Queue } from './queue.ts';
import { AUTH_MESSAGE_MAX_BYTES } from '../limits.ts';
import { AUTH_PROTOCOL, CODE, type Code, DNR, FABRICS } from './wire/constants.ts';
import { type AuthFault, type AuthParties, DhChap } from './auth/dh-chap.ts';
import { dhCost } from './auth/dh-groups.ts';
import type { SharedAuthPorts, TurnOwner, Turns } from './auth/dh-turns.ts';

export interface AuthQueue extends Pick<Queue, 'answer' | 'answerData' | 'failed' | 'close'> {
  /** The host has proven itself for the first time. */
  proven(): void;
}

export class QueueAuth implements TurnOwner {
  isProven = false;
  readonly source: string;
  private readonly queue: AuthQueue;
  private readonly request: ConnectRequest;
  private readonly events: NvmeConnectionEvents;
  private readonly entered: () => void;
  private readonly exchange: DhChap;
  private readonly turns: Turns;

  private constructor(
    queue: AuthQueue,
    request: ConnectRequest,
    parties: AuthParties,
    ports: SharedAuthPorts,
    events: NvmeConnectionEvents,
  ) {
    this.queue = queue;
    this.source = events.source;
    this.entered = () => queue.proven();
    this.turns = ports.turns;
    this.request = request;
    this.events = events;
    this.exchange = new DhChap(
      parties,
      { ...ports, compute: (group, work) => this.turns.run(this, dhCost(group), work) },
      { proven: () => this.proven(), failed: (fault) => this.unproven(fault) },
    );
  }

  /** Begins the login of a queue. Returns null if the host need not authenticate. */
  static of(queue: AuthQueue, request: ConnectRequest, ports: SharedAuthPorts, events: NvmeConnectionEvents): QueueAuth | null {
    const parties = events.parties(request);
    return parties === null ? null : new QueueAuth(queue, request, parties, ports, events);
  }

  /** Returns true if a command is refused before its data is kept. It has been answered. */
  refuses(command: NvmeCommand): boolean {
    const code = this.examine(command);
    if (code !== CODE.OK) this.queue.answer(command, code);
    return code !== CODE.OK;
  }

  private examine(command: NvmeCommand): Code {
    if (!command.isAuth) return this.isProven ? CODE.OK : CODE.AUTH_REQUIRED | DNR;
    const { dataBytes } = command;
    if (command.dword(10) >>> 8 !== AUTH_PROTOCOL || dataBytes === 0 || dataBytes > AUTH_MESSAGE_MAX_BYTES) return CODE.INVALID_FIELD | DNR;
    if (command.dword(11) !== dataBytes) return CODE.SGL_LENGTH | DNR;
    return this.exchange.isComputing ? CODE.SEQUENCE_ERROR | DNR : CODE.OK;
  }

  /** Executes a command of an authentication; returns false for any other. */
  execute(command: NvmeCommand): boolean {
    if (!command.isAuth) return false;
    // Another command may have come while the data of this one arrived.
    if (this.exchange.isComputing) this.queue.answer(command, CODE.SEQUENCE_ERROR | DNR);
    else if (command.fabricsType === FABRICS.AUTH_RECEIVE) this.receive(command);
    else this.send(command);
    return true;
  }

  private send(command: NvmeCommand): void {
    if (this.exchange.hasFailed) return this.queue.answer(command, CODE.AUTH_REQUIRED | DNR);
    const message = Buffer.from(command.buffer.subarray(0, command.dataBytes));
    this.exchange.take(message, () => {
      // If a host that was proven has failed to prove itself again, it has been cut off.
      if (command.isUnderWay) this.queue.answer(command, CODE.OK);
    });
  }

  close(): void {
    this.turns.forget(this);
  }

  failed(thrown: unknown): void {
    this.queue.failed(thrown);
  }

  /** The host gets as many bytes as it asks for: the message, followed by zeros. */
  private receive(command: NvmeCommand): void {
    const { due } = this.exchange;
    if (due === null) return this.queue.answer(command, CODE.SEQUENCE_ERROR | DNR);
    if (due.length > command.dataBytes) return this.queue.answer(command, CODE.INVALID_FIELD | DNR);
    this.exchange.fetched();
    this.queue.answerData(command, Buffer.concat([due], command.dataBytes));
  }

  private proven(): void {
    if (this.isProven) return;
    this.isProven = true;
    this.entered();
  }

  private unproven(fault: AuthFault): void {
    const wasProven = this.isProven;
    this.isProven = false;
    this.events.unproven(this.request.hostNqn, fault);
    if (wasProven) this.queue.close('its host has not proven itself again');
  }
}
