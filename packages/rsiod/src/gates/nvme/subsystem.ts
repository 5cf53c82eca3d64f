// An NVM subsystem: the volumes of one gate as namespaces, and the controllers that hosts have made. Invariants: a namespace id means the
// same volume for as long as the gate exists; the number of a controller is used again only after all its connections have finished.

import { GATE_CONTROLLERS_MAX, GATE_KEEP_ALIVE_MIN_MS } from '../limits.ts';
import type { ConnectRequest } from './connect-request.ts';
import { Controller, isKeepAlive } from './controller.ts';
import type { Queue } from './queue.ts';
import type { ControllerOwner, GateNamespace, SubsystemOptions } from './subsystem-view.ts';
import { CNTLID_ANY, CODE, type Code, DNR } from './wire/constants.ts';

export class Subsystem implements ControllerOwner {
  readonly options: SubsystemOptions;
  readonly namespaces = new Map<number, GateNamespace>();
  readonly controllers = new Map<number, Controller>();
  /** Counts the changes of the discovery log. */
  generation = 1;
  private lastId = 0;

  constructor(options: SubsystemOptions) {
    this.options = options;
  }

  add(namespace: GateNamespace): void {
    this.namespaces.set(namespace.nsid, namespace);
    this.changed(namespace.nsid);
  }

  remove(nsid: number): void {
    if (this.namespaces.delete(nsid)) this.changed(nsid);
  }

  /** Tells all hosts that a namespace has come, has gone, or has another size. */
  changed(nsid: number): void {
    for (const controller of this.controllers.values()) controller.namespaceChanged(nsid);
  }

  /** Tells all hosts that the discovery log has changed. */
  discoveryChanged(): void {
    this.generation++;
    for (const controller of this.controllers.values()) controller.discoveryChanged();
  }

  /** Admits a queue to a controller, a new one for an admin queue. Returns the controller, or the code that refuses the command. */
  connect(queue: Queue, request: ConnectRequest): Controller | Code {
    if (!this.options.isHostAllowed(request.hostNqn)) return CODE.CONNECT_HOST | DNR;
    if (request.qid === 0) return this.newController(queue, request);
    const controller = this.controllers.get(request.cntlid);
    if (controller === undefined || this.options.discovery !== null) return CODE.CONNECT_PARAMETERS | DNR;
    return controller.admit(queue, request) ?? controller;
  }

  private newController(queue: Queue, request: ConnectRequest): Controller | Code {
    if (request.cntlid !== CNTLID_ANY) return CODE.CONNECT_PARAMETERS | DNR;
    const { hostNqn, keepAliveMs } = request;
    if (!isKeepAlive(keepAliveMs)) {
      const allowed = `allowed are ${GATE_KEEP_ALIVE_MIN_MS} ms or more, or 0`;
      this.options.note(`host ${hostNqn} was refused: its keep-alive time is ${keepAliveMs} ms, and ${allowed}`);
      return CODE.CONNECT_PARAMETERS | DNR;
    }
    if (this.controllers.size >= GATE_CONTROLLERS_MAX) return CODE.CONNECT_BUSY;
    const controller = new Controller(this, this.newId(), queue, request);
    this.controllers.set(controller.id, controller);
    this.options.note(`host ${hostNqn} has connected, as controller ${controller.id}`);
    return controller;
  }

  private newId(): number {
    do this.lastId = (this.lastId % 0xffe0) + 1;
    while (this.controllers.has(this.lastId));
    return this.lastId;
  }

  /** Called when the last connection of a controller has finished. */
  left(controller: Pick<Controller, 'id' | 'hostNqn'>): void {
    this.controllers.delete(controller.id);
    this.options.note(`host ${controller.hostNqn} has left controller ${controller.id}`);
  }

  tick(): void {
    for (const controller of this.controllers.values()) controller.tick();
  }
}
