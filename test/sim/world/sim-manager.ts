// An administrator of one simulated server: creates, grows, renames, changes, removes and restores volumes while clients use them, and
// gives new volumes to clients at once. The manager repeats an unanswered order with the same request id, as rsconfig does, and also
// repeats some answered orders. The manager has its own source of random numbers. The pool judge judges the answers, and the users of the
// volumes judge the contents.

import { toRsError } from '@rsio/base/lib/errors';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SimClock } from '../base/sim-clock.ts';
import type { Trace } from '../base/trace.ts';
import type { PoolJudge, VolumeState } from '../judges/pool-judge.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { SimUser } from '../machines/sim-user.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import type { Order } from '../pools/sim-pool.ts';

export interface ManagerPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly server: SimServer;
  readonly judge: PoolJudge;
  /** Nodes that may take volumes over. */
  readonly nodes: readonly string[];
  /** Whether the manager also takes volumes away from clients. */
  readonly revokes: boolean;
  users(volume: SimVolume): readonly SimUser[];
  /** The machine of the server crashes. */
  crash(): void;
  /** The user detaches the volume, and attaches it again only after `callBack`. Resolves within AWAY_MAX_MS. */
  sendAway(user: SimUser): Promise<void>;
  callBack(user: SimUser): void;
}

interface Owned {
  readonly id: string;
  readonly volume: SimVolume;
  readonly users: readonly SimUser[];
  isOver: boolean;
}

type Answer = { readonly id: string } | { readonly code: string };

const ORDERS = 24;
/** Maximum number of volumes that exist in a pool at one time. */
export const POOLED_MAX = 3;
const STEP_BYTES = 8 * 1024;
const STEPS_MAX = 16;
const GAP_MAX_MS = 600;
/** Longest wait for a user that detaches its volume. */
export const AWAY_MAX_MS = 1500;
const ANSWER_MAX_MS = 4000;
const RETRY_MAX_MS = 400;
const REPEAT_CHANCE = 0.3;
/** Chance of a crash at the answer to an order that takes a volume away. */
const CRASH_CHANCE = 0.3;
const POLL_MS = 20;
const REATTACH_MS = 500;
/** Errors after which the manager repeats its order. */
const OPEN_OUTCOMES: readonly string[] = ['E_POOL', 'E_BUSY', 'E_TIMEOUT'];

/** Maximum size of a volume in bytes. */
export const POOLED_MAX_BYTES = STEPS_MAX * STEP_BYTES;

export class SimManager {
  /** Whether all orders are done, and no user waits for a volume that does not exist. */
  isDone = false;
  private readonly ports: ManagerPorts;
  private readonly random: SeededRandom;
  private readonly owned: Owned[] = [];
  private isHealed = false;
  private names = 0;
  private requests = 0;

  constructor(ports: ManagerPorts) {
    this.ports = ports;
    this.random = ports.random;
    void this.run();
  }

  /** Called when the faults are over. The manager begins no further orders. */
  heal(): void {
    this.isHealed = true;
  }

  private async run(): Promise<void> {
    for (let orders = 0; orders < ORDERS && !this.isHealed; orders++) {
      await this.pause(this.random.unit() * GAP_MAX_MS);
      await this.act();
    }
    for (const one of this.present) if (this.stateOf(one).place === 'removed') await this.restore(one);
    this.isDone = true;
  }

  private get present(): Owned[] {
    return this.owned.filter(({ isOver }) => !isOver);
  }

  private async act(): Promise<void> {
    const { random, present } = this;
    if (present.length === 0 || (present.length < POOLED_MAX && random.chance(0.25))) return this.create(this.newName());
    const one = random.pick(present);
    if (this.stateOf(one).place === 'removed') return random.chance(0.7) ? this.restore(one) : this.createInPlaceOf(one);
    if (this.ports.revokes && random.chance(0.4)) return this.takeAway(one);
    const draw = random.unit();
    if (draw < 0.45) return this.grow(one);
    if (draw < 0.55) return this.set(one);
    await this.sendAway(one);
    await (draw < 0.72 ? this.rename(one) : this.remove(one));
    for (const user of one.users) this.ports.callBack(user);
  }

  private async create(name: string): Promise<void> {
    const sizeBytes = this.random.int(1, 3) * STEP_BYTES;
    const id = await this.ask({ verb: 'create', name, sizeBytes }, null, this.newState(name, sizeBytes));
    if (id === null) return;
    const volume = this.ports.server.machine.volumes.get(id)!;
    this.owned.push({ id, volume, users: this.ports.users(volume), isOver: false });
  }

  private newState(name: string, sizeBytes: number): VolumeState {
    const clients = this.ports.revokes ? this.ports.nodes.toSorted().join() : null;
    return { place: 'volumes', name, sizeBytes, takeOver: null, clients };
  }

  /** Takes the volume away from a client, mostly from its holder, and lets the client have it again later. */
  private async takeAway(one: Owned): Promise<void> {
    const { random } = this;
    const { nodes } = this.ports;
    const state = this.stateOf(one);
    const client = random.chance(0.8) ? (one.volume.holder ?? random.pick(nodes)) : random.pick(nodes);
    const clients = nodes.filter((node) => node !== client).toSorted();
    if ((await this.ask({ verb: 'revoke', name: state.name, client }, one.id, { ...state, clients: clients.join() })) === null) return;
    // What the client has written must be on disk when its hold has ended.
    if (random.chance(CRASH_CHANCE)) this.ports.crash();
    await this.pause(random.unit() * GAP_MAX_MS);
    await this.ask({ verb: 'allow', name: state.name, client }, one.id, state);
    const back = async (user: SimUser): Promise<void> => {
      while (user.volume === null && !user.isAttaching && user.wants && !user.hasNoVolume && !user.isSentAway) {
        this.ports.callBack(user);
        await this.pause(REATTACH_MS);
      }
    };
    for (const user of one.users) if (user.node === client) void back(user);
  }

  /** Creates another volume with the name of a removed volume, so that the removed volume is lost for its users. */
  private async createInPlaceOf(one: Owned): Promise<void> {
    one.isOver = true;
    for (const user of one.users) user.ends();
    while (one.users.some((user) => user.isAttaching)) await this.pause(POLL_MS);
    await this.create(this.stateOf(one).name);
  }

  private async grow(one: Owned): Promise<void> {
    const state = this.stateOf(one);
    const sizeBytes = Math.min(POOLED_MAX_BYTES, state.sizeBytes + this.random.int(1, 3) * STEP_BYTES);
    if (sizeBytes === state.sizeBytes) return;
    await this.ask({ verb: 'grow', name: state.name, sizeBytes }, one.id, { ...state, sizeBytes });
  }

  private async set(one: Owned): Promise<void> {
    const state = this.stateOf(one);
    const takeOver = state.takeOver === null ? this.ports.nodes : null;
    await this.ask({ verb: 'set', name: state.name, takeOver }, one.id, { ...state, takeOver: takeOver?.join() ?? null });
  }

  private async rename(one: Owned): Promise<void> {
    const state = this.stateOf(one);
    const to = this.newName();
    await this.ask({ verb: 'rename', name: state.name, to }, one.id, { ...state, name: to });
  }

  private async remove(one: Owned): Promise<void> {
    const state = this.stateOf(one);
    const id = await this.ask({ verb: 'remove', name: state.name }, one.id, { ...state, place: 'removed' });
    if (id !== null) one.volume.isRemoved = true;
  }

  private async restore(one: Owned): Promise<void> {
    const state = this.stateOf(one);
    await this.ask({ verb: 'restore', name: state.name }, one.id, { ...state, place: 'volumes' });
  }

  /** Sends most users away before a change, because most changes of a held volume are refused. */
  private async sendAway({ users }: Owned): Promise<void> {
    if (this.random.chance(0.2)) return;
    await Promise.all(users.map((user) => this.ports.sendAway(user)));
  }

  /**
   * Repeats the order until it is answered. Returns the id of the volume. Null: the server refused the order, because clients use the
   * volume.
   */
  private async ask(order: Order, id: string | null, after: VolumeState): Promise<string | null> {
    const { judge } = this.ports;
    const request = `request-${++this.requests}`;
    judge.asks(request, id, after);
    for (;;) {
      const answer = await this.once(order, request);
      if (answer !== null && 'id' in answer) {
        judge.answered(request, answer.id);
        if (this.random.chance(REPEAT_CHANCE)) await this.repeat(order, request, answer.id);
        return answer.id;
      }
      if (answer !== null && !OPEN_OUTCOMES.includes(answer.code)) {
        judge.refused(request, answer.code);
        const isRight = answer.code === 'E_HELD' || (order.verb === 'revoke' && answer.code === 'E_VOLUME');
        if (!isRight) judge.breach(`C1: ${JSON.stringify(order)} is refused with ${answer.code}`);
        return null;
      }
      await this.pause(this.random.unit() * RETRY_MAX_MS);
    }
  }

  private async repeat(order: Order, request: string, id: string): Promise<void> {
    const answer = await this.once(order, request);
    if (answer === null || ('code' in answer && OPEN_OUTCOMES.includes(answer.code))) return;
    this.ports.judge.repeated(request, id, 'id' in answer ? answer.id : answer.code);
  }

  /** Sends the order once; null: no answer. */
  private once(order: Order, request: string): Promise<Answer | null> {
    const { server, trace, clock } = this.ports;
    if (!server.isListening) return Promise.resolve(null);
    return new Promise((resolve) => {
      const answered = (answer: Answer | null): void => {
        if (trace.isOn) trace.say(`${server.name}: ${request} ${JSON.stringify(order)}: ${JSON.stringify(answer)}`);
        resolve(answer);
      };
      const timer = clock.after(ANSWER_MAX_MS, () => answered(null));
      server.order(order, request).then(
        (id) => {
          timer.cancel();
          answered({ id });
        },
        (thrown: unknown) => {
          timer.cancel();
          answered({ code: toRsError(thrown).code });
        },
      );
    });
  }

  private stateOf({ id }: Owned): VolumeState {
    return this.ports.judge.stateOf(id)!;
  }

  private newName(): string {
    return `${this.ports.server.name}-p${++this.names}`;
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.ports.clock.after(ms, resolve);
    });
  }
}
