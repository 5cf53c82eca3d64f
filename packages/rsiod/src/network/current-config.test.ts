// Tests when a configuration comes into force, and which subnets the client's interfaces have. The interfaces of the machine are fakes.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { smallRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { expect, test } from 'vitest';
import { CurrentConfig } from './current-config.ts';

const FIRST = parseRscltConfig(smallRscltcfg(), 'rscltcfg');
const [INTERFACE] = FIRST.interfaces;
const { address } = INTERFACE!;

class Scene {
  readonly clock = new FakeClock();
  readonly relogged: RscltConfig[] = [];
  machine: readonly MachineInterface[] = [];
  readonly current: CurrentConfig;

  constructor(prefixLength: number | null) {
    this.see(prefixLength);
    const first = { ...FIRST, interfaces: [{ ...INTERFACE!, prefixLength: null }] };
    this.current = new CurrentConfig(
      first,
      this.clock,
      () => this.machine,
      (config) => void this.relogged.push(config),
    );
  }

  /** The machine has the address of the client with this prefix, or has lost it. */
  see(prefixLength: number | null): void {
    this.machine = prefixLength === null ? [] : [{ name: 'if0', address, prefixLength } as unknown as MachineInterface];
  }

  get prefixes(): (number | null)[] {
    return this.current.locals.map(({ prefixLength }) => prefixLength);
  }
}

test('a configuration is in force from the time at which it began, with its log settings', () => {
  const { current, clock, relogged } = new Scene(24);
  const startMs = clock.wallMs();
  expect([current.sinceMs, relogged]).toEqual([startMs, []]);
  clock.advance(5_000);
  const next = { ...current.config, nbdGroup: 'ops' };
  expect(current.setupsOf(next).map(({ whole }) => whole)).toEqual([next]);
  expect(current.sinceMs).toBe(startMs);
  current.begin(next);
  expect([current.config, current.sinceMs, relogged]).toEqual([next, startMs + 5_000, [next]]);
  expect(current.setups.map(({ whole, config }) => [whole, config])).toEqual([[next, next.namespaces[0]]]);
});

test('the interfaces follow the machine, and an address that the machine has lost keeps its subnet', () => {
  const scene = new Scene(24);
  expect([scene.prefixes, scene.current.lookAtMachine()]).toEqual([[24], false]);
  scene.see(null);
  expect([scene.current.lookAtMachine(), scene.prefixes]).toEqual([false, [24]]);
  scene.see(16);
  expect([scene.current.lookAtMachine(), scene.prefixes]).toEqual([true, [16]]);
  expect(scene.current.setups[0]?.locals).toBe(scene.current.locals);
});
