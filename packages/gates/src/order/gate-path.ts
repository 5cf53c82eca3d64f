// A path: one login of a host with all its connections, that is a controller with its queues, or a session. A host gives a path up as a whole,
// and sends and answers nothing on it afterwards. Invariants: the proof moment of a path is that of a message which the gate has sent and
// which the host is known to have received; it never goes back; a change that is held goes on only in the step in which its path is proven,
// or ends. Rules: D1.

import { GATE_QUIESCE_MS } from '../limits.ts';

export interface PathPorts {
  /** A time that goes on while the machine is suspended. */
  nowMs(): number;
  /**
   * Sends the host something that it answers, unless such a message is under way. `proves` is called when the answer arrives; the path asks
   * again if that is not enough.
   */
  roundTrip(): void;
}

/** A moment at which the gate has sent something. */
export interface Moment {
  readonly step: number;
  readonly ms: number;
}

/** A change that waits for a proof of its path. */
export interface HeldChange {
  readonly isProven: boolean;
  /** False while it is being tried again, or waits for something else. */
  readonly isWaiting: boolean;
  readonly sinceMs: number;
  /** Tries it again. */
  goOn(): void;
}

export class GatePath {
  readonly id: number;
  /** The proof moment: a step of the order, and its time. */
  provenStep: number;
  provenMs: number;
  /** Changes of this path that are held. */
  readonly holds = new Set<HeldChange>();
  private readonly order: { readonly now: number };
  private readonly ports: PathPorts;

  /** The last answer of the login is sent now. Nothing can arrive on the path before the host has received it. */
  constructor(order: { readonly now: number }, id: number, ports: PathPorts) {
    this.order = order;
    this.id = id;
    this.ports = ports;
    this.provenStep = order.now;
    this.provenMs = ports.nowMs();
  }

  /** The moment of a message that is sent now. */
  get moment(): Moment {
    return { step: this.order.now, ms: this.ports.nowMs() };
  }

  /** The step of a message that is sent now. */
  get step(): number {
    return this.order.now;
  }

  /** The host has received what the gate sent at this moment. */
  proves({ step, ms }: Moment): void {
    this.provenMs = Math.max(this.provenMs, ms);
    this.provesStep(step);
  }

  /** The same for a message whose time is not known. */
  provesStep(step: number): void {
    if (step > this.provenStep) this.provenStep = step;
    if (this.holds.size > 0) this.proceed();
  }

  /** A change is held now. */
  held(hold: HeldChange): void {
    this.holds.add(hold);
    this.ports.roundTrip();
  }

  /** Begins a round trip if a held change needs one. Called when the host can be asked again. */
  ask(): void {
    for (const hold of this.holds) if (!hold.isProven) return this.ports.roundTrip();
  }

  /** For how long the host has not shown that it holds the path. */
  unprovenMs(nowMs: number): number {
    return nowMs - this.provenMs;
  }

  get nowMs(): number {
    return this.ports.nowMs();
  }

  /** True if a change was held for so long that the path is to be closed unread. */
  isStuck(nowMs: number): boolean {
    for (const hold of this.holds) if (!hold.isProven && nowMs - hold.sinceMs > GATE_QUIESCE_MS) return true;
    return false;
  }

  private proceed(): void {
    // A change that goes on may end others.
    for (const hold of [...this.holds]) if (this.holds.has(hold) && hold.isWaiting && hold.isProven) hold.goOn();
    this.ask();
  }
}
