// A host with two paths to one gate. The network delays what the host has sent over a path, and the process of the gate stands still at
// times. The host gives up a path that does not answer within its keep-alive time, and repeats its write over the other path. The
// messages on the first path still arrive later. Invariant (D1): the volume has the last write that the host got an answer for, or the next
// one.

import { FakeClock } from '@rsio/common/testing/fake-clock';
import { SeededRandom } from '@rsio/common/testing/seeded-random';
import { StallingClock } from '@rsio/common/testing/stalling-clock';
import { GapWatch } from '@rsio/rsiod/gates/gap-watch';
import { capsule } from '@rsio/rsiod/gates/nvme/testing/nvme-host';
import { GateRig } from '@rsio/rsiod/gates/nvme/testing/nvme-rig';
import { closeLogin, gateLogin, type GateLogin, readOne, sendOver } from './gate-logins.ts';

const [WRITES, STEPS_MAX, BLOCK] = [40, 3_000, 512];
const KEEP_ALIVE_MS = 5_000;
/** A process reads one message after the other, while others arrive. */
const READS_MAX = 3;

/** A login over one path. */
interface Login extends GateLogin {
  readonly path: number;
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function gateWorld(seed: number): string | null {
  const world = new GateWorld(seed);
  for (let step = 0; step < STEPS_MAX && world.acknowledged < WRITES; step++) {
    world.step();
    const fault = world.fault();
    if (fault !== null) return fault;
  }
  return null;
}

class GateWorld {
  /** Number of the last write that the host got an answer for. */
  acknowledged = 0;
  private readonly random: SeededRandom;
  /** A host without a keep-alive gives a path up after the same time; the network of its world delays nothing. */
  private readonly hasKeepAlive: boolean;
  private readonly clock = new FakeClock();
  private readonly process = new StallingClock(this.clock);
  private readonly rig = new GateRig();
  private readonly logins: Login[] = [];
  private readonly watch: GapWatch;
  /** Times until which the process stands still, and until which the network delays each path. */
  private stillUntilMs = 0;
  private isStill = false;
  private readonly delayedUntilMs = [0, 0];
  private current: Login;
  /** The login over the other path; null until the host has logged in again. */
  private standby: Login | null;
  private write = 1;
  private sentMs: number | null = null;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.hasKeepAlive = this.random.chance(0.5);
    this.current = this.login(0);
    this.standby = this.login(1);
    this.watch = new GapWatch(
      this.process,
      () => this.logins.forEach(closeLogin),
      () => this.rig.subsystem.tick(),
    );
    this.watch.start();
  }

  step(): void {
    this.clock.advance(this.random.pick([20, 100, 400]));
    this.rig.nowMs = this.clock.monotonicMs();
    if (this.isStill && this.now >= this.stillUntilMs) this.resume();
    else if (!this.isStill && this.random.chance(0.03)) this.pause();
    for (const path of this.hasKeepAlive ? [0, 1] : [])
      if (this.random.chance(0.01)) this.delayedUntilMs[path] = this.now + this.random.int(500, 15_000);
    this.host();
    if (!this.isStill) this.read();
  }

  fault(): string | null {
    const has = this.rig.volume.content[0]!;
    if (has === this.acknowledged || has === this.write) return null;
    return `D1: the volume has write ${has}, and the host got an answer for write ${this.acknowledged}`;
  }

  private get now(): number {
    return this.clock.monotonicMs();
  }

  private login(path: number): Login {
    const login = { ...gateLogin(this.rig, this.now, this.hasKeepAlive ? KEEP_ALIVE_MS : 0), path };
    this.logins.push(login);
    return login;
  }

  private pause(): void {
    this.isStill = true;
    this.stillUntilMs = this.now + this.random.int(200, 9_000);
    this.process.stall();
  }

  /** The kernel reports sockets and timers in any order. */
  private resume(): void {
    this.isStill = false;
    if (this.random.chance(0.5)) this.read();
    this.process.goOn();
  }

  /** The process of the gate reads its sockets, in any order, and answers. */
  private read(): void {
    const hasGap = (): boolean => this.watch.look();
    for (let count = this.random.int(1, READS_MAX); count > 0; count--)
      if (!readOne(this.rig, this.logins, this.now, this.random, hasGap)) return;
  }

  private host(): void {
    const { current } = this;
    for (const login of [current, this.standby])
      if (login !== null && this.now - login.keptAliveMs > KEEP_ALIVE_MS / 2) {
        login.keptAliveMs = this.now;
        this.send(login, true, capsule({ opcode: 0x18, cid: 900 }));
      }
    if (this.standby?.isOpen !== true && !this.isStill) this.standby = this.login(1 - current.path);
    if (this.sentMs === null) {
      this.sentMs = this.now;
      return this.send(
        current,
        false,
        capsule({ opcode: 1, cid: this.write, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(BLOCK, this.write) }),
      );
    }
    if (current.io.take().some((one) => one.kind === 'done' && one.cid === this.write && one.status === 0)) {
      this.acknowledged = this.write++;
      this.sentMs = null;
    } else if (this.standby !== null && (this.now - this.sentMs > KEEP_ALIVE_MS || !current.isOpen)) {
      this.current = this.standby;
      this.standby = null;
      this.sentMs = null;
    }
  }

  private send(login: Login, isAdmin: boolean, bytes: Buffer): void {
    sendOver(login, this.now, this.delayedUntilMs[login.path]!, isAdmin, bytes);
  }
}
