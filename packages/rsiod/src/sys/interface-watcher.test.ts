// The watcher on a fake machine: what it does if the monitor exits, if iproute2 is missing, or if listing the interfaces fails. The meaning
// of lines is tested in interface-table.test.ts.

import { expect, test } from 'vitest';
import { type Log, quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { IpFact } from './interface-table.ts';
import { type InterfaceSource, InterfaceWatcher } from './interface-watcher.ts';
import { CARRIER_POLL_MS, MONITOR_RESTART_MIN_MS } from './limits.ts';

const ADDRESS = '4: eth0    inet 192.168.10.1/24 scope global eth0';
const UP = '4: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500';
const NO_CARRIER = '4: eth0: <NO-CARRIER,BROADCAST,UP> mtu 1500';

class Scene implements InterfaceSource {
  readonly clock = new FakeClock();
  readonly changes: string[] = [];
  readonly said: string[] = [];
  readonly monitors: { onLine: (line: string) => void; ended: (reason: string, isAbsent: boolean) => void }[] = [];
  lines: string[] | null = [ADDRESS, UP];
  facts: IpFact[] = [];
  stopped = 0;
  looks = 0;
  readonly watcher: InterfaceWatcher;

  constructor(address = '192.168.10.1') {
    const log: Log = { ...quietLog, info: (message) => this.said.push(message), warn: (message) => this.said.push(message) };
    const changed = ({ change }: { change: string }): void => void this.changes.push(change);
    this.watcher = new InterfaceWatcher([address], { clock: this.clock, log, source: this, changed });
  }

  async start(): Promise<this> {
    this.watcher.start();
    await Promise.resolve();
    await Promise.resolve();
    return this;
  }

  monitor(onLine: (line: string) => void, ended: (reason: string, isAbsent: boolean) => void): { stop(): void } {
    this.monitors.push({ onLine, ended });
    return { stop: () => this.stopped++ };
  }

  list(): Promise<string[]> {
    return this.lines === null ? Promise.reject(new Error('no list')) : Promise.resolve(this.lines);
  }

  look(): IpFact[] {
    this.looks++;
    return this.facts;
  }
}

test('a line of the monitor becomes a change', async () => {
  const scene = await new Scene().start();
  scene.monitors[0]!.onLine(NO_CARRIER);
  scene.monitors[0]!.onLine('what is this');
  scene.monitors[0]!.onLine(UP);
  expect(scene.changes).toEqual(['carrier-lost', 'carrier-back']);
});

test('a monitor that ends is restarted, ever more slowly, and the list shows the missed changes', async () => {
  const scene = await new Scene().start();
  scene.monitors[0]!.ended('exit code 1', false);
  scene.lines = [UP];
  scene.clock.advance(MONITOR_RESTART_MIN_MS);
  await Promise.resolve();
  await Promise.resolve();
  expect([scene.monitors.length, scene.changes]).toEqual([2, ['address-gone']]);
  // Each later monitor exits at once.
  for (let passedMs = 0; passedMs < 2000; passedMs += 10) {
    if (scene.monitors.length > scene.said.length) scene.monitors.at(-1)!.ended('exit code 1', false);
    scene.clock.advance(10);
  }
  expect(scene.monitors.length).toBeLessThan(7);
  expect(scene.monitors.length).toBeGreaterThan(4);
  expect(scene.said[0]).toMatch(/^ip monitor has ended \(exit code 1\): it is restarted in \d+ ms$/);
});

test('a machine without iproute2 is reported once, and carriers are polled', () => {
  const scene = new Scene();
  scene.lines = null;
  scene.watcher.start();
  scene.facts = [
    { kind: 'address', device: 'eth0', address: '192.168.10.1', isThere: true },
    { kind: 'link', device: 'eth0', hasCarrier: true },
  ];
  scene.monitors[0]!.ended('spawn ip ENOENT', true);
  scene.clock.advance(1000);
  expect(scene.changes).toEqual([]);
  // The C library does not list the addresses of an interface without carrier, so an address that is missing from a look may still exist.
  scene.facts = [{ kind: 'link', device: 'eth0', hasCarrier: false }];
  scene.clock.advance(CARRIER_POLL_MS);
  expect([scene.changes, scene.said.length, scene.monitors.length]).toEqual([['carrier-lost'], 1, 1]);
});

test("a failed list is replaced by the C library's facts", async () => {
  const scene = new Scene();
  scene.lines = null;
  scene.facts = [{ kind: 'address', device: 'eth0', address: '192.168.10.1', isThere: true }];
  await scene.start();
  scene.monitors[0]!.onLine(NO_CARRIER);
  expect([scene.looks, scene.changes]).toEqual([1, ['carrier-lost']]);
});

test('a watcher of loopback addresses only starts when it gets another address, once', async () => {
  const scene = await new Scene('127.45.0.1').start();
  scene.watcher.watch(['127.45.0.1', '192.168.10.1']);
  scene.watcher.watch(['192.168.10.1', '192.168.20.1']);
  expect(scene.monitors).toHaveLength(1);
  scene.monitors[0]!.onLine(ADDRESS);
  scene.monitors[0]!.onLine(NO_CARRIER);
  expect(scene.changes).toEqual(['carrier-lost']);
});

test('nothing runs for loopback addresses, and nothing after the stop', async () => {
  const idle = await new Scene('127.45.0.1').start();
  expect(idle.monitors).toEqual([]);
  const scene = await new Scene().start();
  scene.watcher.stop();
  scene.monitors[0]!.onLine(NO_CARRIER);
  scene.monitors[0]!.ended('SIGKILL', false);
  scene.clock.advance(60_000);
  expect([scene.stopped, scene.monitors.length, scene.changes, scene.said]).toEqual([1, 1, [], []]);
});
