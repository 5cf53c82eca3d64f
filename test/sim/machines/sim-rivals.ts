// Makes users of different clients compete for shared volumes: now and then a user without the volume asks for it, by OPEN or take-over, or
// the user that has it releases it. In some worlds a node gets a second instance, on its own machine or on another. The competition
// continues after the end of all faults, because every user has I/O to do. The hold judges judge the grants.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { TAKE } from '@rsio/protocol/wire/messages';
import type { SimClient } from './sim-client.ts';
import type { SimClock } from '../base/sim-clock.ts';
import type { SimUser } from './sim-user.ts';
import type { SimVolume } from './sim-volume.ts';

const WAYS = [TAKE.NO, TAKE.OVER, TAKE.OVER, TAKE.OVER, TAKE.FORCE] as const;
/**
 * GIVE_BACK_CHANCE: chance that the holder releases the volume. AWAY_MAX_MS: the former holder asks for the volume again within this time.
 */
const GIVE_BACK_CHANCE = 0.1;
const AWAY_MAX_MS = 1000;

export class SimRivals {
  private readonly clock: SimClock;
  private readonly random: SeededRandom;
  private readonly clients: readonly SimClient[];
  private readonly gapMs: number;
  private isOver = false;

  /** `gapMs`: mean time between two moments at which a user asks for one volume or releases it. */
  constructor(clock: SimClock, random: SeededRandom, clients: readonly SimClient[], volumes: Iterable<SimVolume>, gapMs: number) {
    this.clock = clock;
    this.random = random;
    this.clients = clients;
    this.gapMs = gapMs;
    for (const volume of volumes) this.next(volume);
  }

  /** Adds a volume for which clients compete. */
  add(volume: SimVolume): void {
    this.next(volume);
  }

  stop(): void {
    this.isOver = true;
  }

  private next(volume: SimVolume): void {
    const { random } = this;
    this.clock.after(random.unit() * 2 * this.gapMs, () => {
      if (this.isOver) return;
      if (volume.isFought) this.fight(volume);
      this.next(volume);
    });
  }

  private fight({ users }: SimVolume): void {
    const { random } = this;
    const holder = users.find(({ volume }) => volume !== null);
    if (holder !== undefined && random.chance(GIVE_BACK_CHANCE)) {
      void this.clientOf(holder).detach(holder, random.chance(0.3), random.unit() * AWAY_MAX_MS);
      return;
    }
    this.takeOver(users);
  }

  /** A user without the volume asks for it. */
  takeOver(users: readonly SimUser[]): void {
    const away = users.filter((user) => user.volume === null && user.wants);
    if (away.length === 0) return;
    const user = this.random.pick(away);
    this.clientOf(user).takeOver(user, this.random.pick(WAYS));
  }

  private clientOf(user: SimUser): SimClient {
    return this.clients.find(({ users }) => users.includes(user))!;
  }
}
