// The login of one queue: Connect, the proof of the host, and only then its controller or its place in one. Invariant: until the host is proven,
// the login owns nothing outside of its connection. Rules: G42, G47.

import { type ConnectRequest, connectRequest, wrongPlace } from './connect-request.ts';
import type { NvmeConnectionEvents } from './connection-ports.ts';
import type { SharedAuthPorts } from './auth/dh-turns.ts';
import type { Controller } from './controller.ts';
import type { NvmeCommand } from './nvme-command.ts';
import type { Queue } from './queue.ts';
import { type AuthQueue, QueueAuth } from './queue-auth.ts';
import type { Subsystem } from './subsystem.ts';
import { CODE, CONNECT_AUTH_REQUIRED, type Code, DNR } from './wire/constants.ts';

/** The connection that logs in. */
export interface LoginQueue extends Queue {
  /** Connect names the queue; no other connection knows it yet. */
  named(qid: number): void;
  /** The host is proven, and has its controller. */
  entered(controller: Controller, subsystem: Subsystem, request: ConnectRequest): void;
  /** Connect is answered next, and other commands may come. */
  serves(request: ConnectRequest): void;
}

interface Offer {
  readonly subsystem: Subsystem;
  readonly request: ConnectRequest;
  readonly id: number;
}

export class QueueLogin {
  /** Null if the host need not authenticate. */
  auth: QueueAuth | null = null;
  private readonly queue: LoginQueue;
  private readonly ports: SharedAuthPorts;
  private readonly events: NvmeConnectionEvents;
  private readonly authQueue: AuthQueue;
  /** The login of a host that still has to prove itself. */
  private offer: Offer | null = null;

  constructor(queue: LoginQueue, ports: SharedAuthPorts, events: NvmeConnectionEvents) {
    this.queue = queue;
    this.ports = ports;
    this.events = events;
    this.authQueue = {
      answer: (command, code) => queue.answer(command, code),
      answerData: (command, content) => queue.answerData(command, content),
      failed: (thrown) => queue.failed(thrown),
      close: (why) => queue.close(why),
      proven: () => this.proven(),
    };
  }

  connect(command: NvmeCommand): void {
    const request = connectRequest(command);
    if (typeof request === 'number') return this.refuse(command, request);
    const subsystem = this.events.subsystem(request);
    const offered = subsystem?.offer(request) ?? CODE.CONNECT_PARAMETERS | DNR;
    if (subsystem === null || typeof offered === 'number') return this.refuse(command, Number(offered));
    this.queue.named(request.qid);
    const offer = { subsystem, request, id: offered.id };
    this.auth = QueueAuth.of(this.authQueue, request, this.ports, this.events);
    const refused = this.auth === null ? this.enter(offer) : null;
    if (refused !== null) return this.refuse(command, refused);
    this.offer = this.auth === null ? null : offer;
    this.queue.serves(request);
    this.queue.answer(command, CODE.OK, offered.id | (this.auth === null ? 0 : CONNECT_AUTH_REQUIRED));
  }

  private refuse(command: NvmeCommand, code: Code): void {
    this.queue.answer(command, code, wrongPlace(code));
  }

  /** Returns the code that refuses the login of a proven host now; null if there is none. */
  private enter({ subsystem, request, id }: Offer): Code | null {
    const controller = subsystem.connect(this.queue, request, id);
    if (typeof controller === 'number') return controller;
    this.queue.entered(controller, subsystem, request);
    this.events.connected(request);
    return null;
  }

  private proven(): void {
    const { offer } = this;
    this.offer = null;
    if (offer !== null && this.enter(offer) !== null)
      this.queue.close('its host was proven, but its controller has no place for it any more');
  }
}
