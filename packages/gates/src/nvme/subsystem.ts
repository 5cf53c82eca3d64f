// An NVM subsystem: the volumes of one gate as namespaces, and the controllers that hosts have made. Invariants: a namespace id means the
// same volume for as long as the gate exists; the number of a controller is used again only after all its connections have finished, and
// no other gate of the same subsystem uses it.

import { GATE_MEMBERS_MAX } from '@rsio/common/config/schema/limits';
import { assert } from '@rsio/base/lib/assert';
import { GATE_NAMESPACE_ID_MAX } from '@rsio/rsiod/notes/limits';
import { GATE_CONTROLLER_IDS, GATE_CONTROLLERS_MAX, GATE_HOST_LOGINS_MAX, GATE_KEEP_ALIVE_MIN_MS } from '../limits.ts';
import type { ConnectRequest } from './connect-request.ts';
import { Controller, isKeepAlive } from './controller.ts';
import type { Resettable } from './cross-resets.ts';
import type { Queue } from './queue.ts';
import type { ReservationNotice } from '../reservations/reservation-rules.ts';
import type { ReservationGate, Reservations } from '../reservations/reservations.ts';
import type { GateNamespace } from '../ports/gate-namespace.ts';
import type { ControllerOwner, SubsystemOptions } from './subsystem-view.ts';
import { CNTLID_ANY, CODE, type Code, DNR } from './wire/constants.ts';

export class Subsystem implements ControllerOwner, ReservationGate {
  readonly options: SubsystemOptions;
  readonly namespaces = new Map<number, GateNamespace>();
  readonly controllers = new Map<number, Controller>();
  anaChanges = 0;
  /** Has an entry for each namespace that has ever been here. */
  readonly anaChangedAt = new Map<number, number>();
  /** Counts the changes of the discovery log. */
  generation = 1;
  private lastId = 0;

  constructor(options: SubsystemOptions) {
    assert(options.number >= 1 && options.number <= GATE_MEMBERS_MAX, 'A gate has a number among its gates');
    this.options = options;
  }

  /** Adds a namespace, or replaces the namespace with the same id, which must belong to the same volume. */
  add(namespace: GateNamespace): void {
    const { nsid, volume } = namespace;
    const before = this.namespaces.get(nsid);
    assert(before === undefined || before.volume.id === volume.id, 'A namespace id means the same volume');
    this.namespaces.set(nsid, namespace);
    namespace.reservations?.gates.add(this);
    this.changed(nsid);
    this.anaChanged(nsid);
  }

  /**
   * True if a namespace is not here but was here earlier, or may be at another gate. After a restart, hosts may send I/O for a standby that
   * this gate does not know yet.
   */
  isElsewhere(nsid: number): boolean {
    if (this.namespaces.has(nsid)) return false;
    return this.anaChangedAt.has(nsid) || (this.options.hasPartner && nsid >= 1 && nsid <= GATE_NAMESPACE_ID_MAX);
  }

  remove(nsid: number): void {
    if (!this.namespaces.delete(nsid)) return;
    this.changed(nsid);
    this.anaChanged(nsid);
  }

  /** Tells all hosts that a namespace has appeared, has disappeared, or has another size. */
  changed(nsid: number): void {
    for (const controller of this.controllers.values()) controller.namespaceChanged(nsid);
  }

  /** Tells all hosts that the state of a namespace has changed. */
  anaChanged(nsid: number): void {
    this.anaChanges++;
    this.anaChangedAt.set(nsid, this.anaChanges);
    for (const controller of this.controllers.values()) controller.notices.raise('ana');
  }

  /** There is nothing to tell: by the protocol, hosts know that an unflushed write may be lost, and the client has sent it again. */
  lostWrites(): void {}

  /** Tells all hosts that the discovery log has changed. */
  discoveryChanged(): void {
    this.generation++;
    for (const controller of this.controllers.values()) controller.notices.raise('discovery');
  }

  /**
   * Returns the id of the controller of a login: for an admin queue, a new one. Returns the code that refuses the login. Nothing is kept,
   * because the host may not be the one that it says it is.
   */
  offer(request: ConnectRequest): { readonly id: number } | Code {
    const refused = this.refusal(request);
    if (refused !== null) return refused;
    return { id: request.qid === 0 ? this.newId() : request.cntlid };
  }

  /**
   * The host of an offered login is proven. Admits its queue to the controller; for an admin queue, the controller is new. Returns the
   * controller, or the code that refuses the login now.
   */
  connect(queue: Queue, request: ConnectRequest, id: number): Controller | Code {
    const refused = this.refusal(request);
    if (refused !== null) return refused;
    const known = this.controllers.get(id);
    if (request.qid > 0) {
      known?.admit(queue);
      return known ?? CODE.CONNECT_PARAMETERS;
    }
    // The id was offered so long ago that others have had all ids meanwhile.
    if (known !== undefined) return CODE.CONNECT_BUSY;
    const controller = new Controller(this, id, queue, request);
    this.controllers.set(id, controller);
    this.options.note(`host ${request.hostNqn} has connected, as controller ${id}`, request.hostNqn);
    return controller;
  }

  private refusal(request: ConnectRequest): Code | null {
    if (!this.options.isHostAllowed(request.hostNqn)) return CODE.CONNECT_HOST | DNR;
    if (request.qid === 0) return this.refusalOfNew(request);
    if (this.options.discovery !== null) return CODE.CONNECT_PARAMETERS | DNR;
    const controller = this.controllers.get(request.cntlid);
    // The controller has ended while its host was logging in. The answer has no DNR, because newer hosts would then remove the path for
    // ever.
    return controller === undefined ? CODE.CONNECT_PARAMETERS : controller.refusal(request);
  }

  private refusalOfNew(request: ConnectRequest): Code | null {
    if (request.cntlid !== CNTLID_ANY) return CODE.CONNECT_PARAMETERS | DNR;
    const { hostNqn, keepAliveMs } = request;
    if (!isKeepAlive(keepAliveMs)) {
      const allowed = `allowed are ${GATE_KEEP_ALIVE_MIN_MS} ms or more, or 0`;
      this.options.note(`host ${hostNqn} was refused: its keep-alive time is ${keepAliveMs} ms, and ${allowed}`, hostNqn);
      return CODE.CONNECT_PARAMETERS | DNR;
    }
    // The door bounds the connections of those who ask for discovery, and nobody proves their names.
    if (this.options.discovery !== null) return null;
    let own = 0;
    for (const one of this.controllers.values()) if (one.hostNqn === hostNqn) own++;
    if (this.controllers.size >= GATE_CONTROLLERS_MAX || own >= GATE_HOST_LOGINS_MAX) {
      const limit = own >= GATE_HOST_LOGINS_MAX ? `it has ${own} logins at this gate` : `hosts have ${this.controllers.size} logins`;
      this.options.note(`host ${hostNqn} was refused: ${limit}, and more are not allowed`, hostNqn);
      return CODE.CONNECT_BUSY;
    }
    return null;
  }

  private newId(): number {
    const first = (this.options.number - 1) * GATE_CONTROLLER_IDS;
    do this.lastId = (this.lastId % GATE_CONTROLLER_IDS) + 1;
    while (this.controllers.has(first + this.lastId));
    return first + this.lastId;
  }

  /** Called when the last connection of a controller has finished. */
  left(controller: Resettable): void {
    this.controllers.delete(controller.id);
    for (const { crossResets } of this.controllers.values()) crossResets.left(controller);
    this.options.note(`host ${controller.hostNqn} has left controller ${controller.id}`, controller.hostNqn);
  }

  hasRefusedIo(reservations: Reservations): boolean {
    for (const controller of this.controllers.values()) if (controller.hasRefusedIo(reservations)) return true;
    return false;
  }

  notify(reservations: Reservations, notices: readonly ReservationNotice[]): void {
    for (const { nsid, reservations: own } of this.namespaces.values())
      if (own === reservations)
        for (const { hostId, what } of notices)
          for (const controller of this.controllers.values()) if (controller.hostId === hostId) controller.reservationNotice(nsid, what);
  }

  tick(): void {
    for (const controller of this.controllers.values()) controller.tick();
  }
}
