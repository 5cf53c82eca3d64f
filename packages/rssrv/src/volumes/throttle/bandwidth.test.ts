// Tests how the listener divides the limit of a client among its sessions. The sessions are stand-ins that confirm each setting.
// share-book.test.ts tests the division itself. Invariant: the shares of a client's sessions add up to at most the client's limit.

import { expect, test } from 'vitest';
import type { IoLimits } from '@rsio/common/config/schema/io-limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SHARE_REPORT_MS } from '../limits.ts';
import { Bandwidth, type BandwidthPorts, type LimitedSession } from './bandwidth.ts';
import { ALL_VOLUMES, type ThrottleMessage } from './throttle-messages.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly sessions: LimitedSession[] = [];
  /** The last setting of each session. */
  readonly told = new Map<string, ThrottleMessage>();
  iops: number | null = 100;
  readonly bandwidth = new Bandwidth({
    clock: this.clock,
    halts: { of: () => null, facts: () => null },
    config: () => ({ volumes: [], rights: [{ name: 'big-2', limits: { iops: this.iops, bytesPerSecond: null, burstMs: 100 } }] }),
    sessions: { all: this.sessions },
    log: { info: () => undefined },
    volumes: { served: [] },
    heldChanged: () => undefined,
  } as unknown as BandwidthPorts);

  constructor() {
    this.bandwidth.refresh();
  }

  begin(id: string, node: string): void {
    const send = (message: ThrottleMessage): void => void this.told.set(id, message);
    const session: LimitedSession = { id, client: { node }, uses: { has: () => false }, workerSession: { send } };
    this.sessions.push(session);
    this.bandwidth.began(session);
    this.confirm();
  }

  end(id: string): void {
    this.sessions.splice(0, this.sessions.length, ...this.sessions.filter((session) => session.id !== id));
    this.bandwidth.sessionEnded(id);
    this.told.delete(id);
    this.confirm();
  }

  /** Each session reports its use: the sessions in `hungry` want more than their share, and the others use nothing. */
  use(...hungry: string[]): void {
    for (const session of this.sessions) {
      const isHungry = hungry.includes(session.id);
      const volumes = [{ volumeId: ALL_VOLUMES, requests: isHungry ? 1 : 0, bytes: 0, isHungry }];
      this.bandwidth.report(session, { what: 'used', overMs: SHARE_REPORT_MS, volumes });
    }
    this.confirm();
  }

  get rates(): Record<string, number | null | undefined> {
    const iopsOf = (rates: IoLimits | null): number | null =>
      rates?.iops === undefined || rates.iops === null ? null : Math.round(rates.iops);
    return Object.fromEntries([...this.told].map(([id, { setting }]) => [id, iopsOf(setting.rates)]));
  }

  private confirm(): void {
    for (let round = 0; round < 5; round++) {
      for (const session of this.sessions) {
        const message = this.told.get(session.id);
        if (message === undefined) continue;
        expect(message.volumeId).toBe(ALL_VOLUMES);
        this.bandwidth.report(session, { what: 'in-force', volumeId: ALL_VOLUMES, number: message.number });
      }
      this.clock.advance(SHARE_REPORT_MS);
    }
  }
}

test('the sessions of a client share its limit by their use, and the last one has all of it', () => {
  const scene = new Scene();
  scene.begin('main', 'big-2');
  expect(scene.rates).toEqual({ main: 100 });
  scene.begin('data', 'big-2');
  expect(scene.rates).toEqual({ main: 50, data: 50 });
  scene.use('data');
  expect(scene.rates['data']).toBeGreaterThan(90);
  expect((scene.rates['main'] ?? 0) + (scene.rates['data'] ?? 0)).toBeLessThanOrEqual(100);
  scene.end('data');
  expect(scene.rates).toEqual({ main: 100 });
});

test('a limit that is changed or removed is told to all sessions of the client, and to no other client', () => {
  const scene = new Scene();
  for (const [id, node] of [
    ['main', 'big-2'],
    ['data', 'big-2'],
    ['other', 'mars'],
  ] as const)
    scene.begin(id, node);
  scene.iops = 40;
  scene.bandwidth.refresh();
  expect(scene.rates).toEqual({ main: 20, data: 20 });
  scene.iops = null;
  scene.bandwidth.refresh();
  expect(scene.rates).toEqual({ main: null, data: null });
  scene.iops = 60;
  scene.bandwidth.refresh();
  scene.use('main', 'data');
  expect(scene.rates).toEqual({ main: 30, data: 30 });
});
