// Tests which namespaces stay, begin and end when the configuration changes, and that what happens in them is told. The network is in memory.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { expect, test } from 'vitest';
import type { NamespaceSetup } from './namespace.ts';
import { Namespaces } from './namespaces.ts';

const KEY = 'a'.repeat(64);

/** `sections`: for each namespace, the last numbers of the addresses of its servers. */
function configOf(sections: Readonly<Record<string, readonly number[]>>, nodename = 'node'): RscltConfig {
  const texts = Object.entries(sections).map(([name, numbers], at) => {
    const servers = numbers.map((number) => `[server big-${number}]\naddress = 10.0.1.${number}\n`);
    return `[namespace ${name}]\nnamespaceid = ${at + 1}\nnodename = ${nodename}\nnodekey = ${KEY}\n${servers.join('')}`;
  });
  return parseRscltConfig(`[interface if0]\naddress = 10.0.0.1/16\n${texts.join('')}`, 'rscltcfg');
}

function setupsOf(whole: RscltConfig): NamespaceSetup[] {
  return whole.namespaces.map((config) => ({ whole, config, locals: whole.interfaces }));
}

class Scene {
  readonly clock = new FakeClock();
  readonly moves: string[] = [];
  readonly current: { setups: NamespaceSetup[]; setupsOf: typeof setupsOf };
  readonly namespaces: Namespaces;

  constructor(sections: Readonly<Record<string, readonly number[]>>) {
    this.current = { setups: setupsOf(configOf(sections)), setupsOf };
    const random = new SeededRandom(1);
    this.namespaces = new Namespaces(
      this.current,
      { instance: 1, machine: 'm', boot: 'b', process: 'p', dataProcess: 0 },
      {
        clock: this.clock,
        log: quietLog,
        connector: new MemoryNetwork(this.clock, IDEAL_LINK, () => {}),
        random: random.bytes,
        pools: { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() },
        hasDataProcesses: false,
        known: { of: () => [], serveridAt: () => null, learned: () => {} },
      },
    );
    this.namespaces.pathChanged.listen(({ remote }, _from, to) => void this.moves.push(`${remote.address} ${to}`));
  }

  follow(sections: Readonly<Record<string, readonly number[]>>, nodename?: string): void {
    this.current.setups = setupsOf(configOf(sections, nodename));
    this.namespaces.follow();
  }

  get names(): string[] {
    return this.namespaces.list.map(({ config, routes }) => `${config.name} ${routes.map(({ remote }) => remote.name).join(' ')}`);
  }
}

test('a namespace with the same login stays and is changed, another one ends, and a new one begins', () => {
  const scene = new Scene({ osl: [1], sea: [2] });
  scene.namespaces.start();
  const [osl, sea] = scene.namespaces.list;
  scene.clock.advance(1);
  expect(new Set(scene.moves.splice(0))).toEqual(new Set(['10.0.1.1 connecting', '10.0.1.1 down', '10.0.1.2 connecting', '10.0.1.2 down']));
  scene.follow({ osl: [1, 3] });
  expect([scene.namespaces.list[0] === osl, scene.names]).toEqual([true, ['osl big-1 big-3']]);
  expect(sea!.routes.map(({ supervisor }) => supervisor.state)).toEqual(['retired']);
  scene.follow({ new: [4], osl: [1] });
  expect([scene.namespaces.list.includes(osl!), scene.names]).toEqual([false, ['new big-4', 'osl big-1']]);
  scene.clock.advance(1);
  expect(scene.moves).toContain('10.0.1.4 connecting');
});

test('another node name is another login', () => {
  const scene = new Scene({ osl: [1] });
  const [before] = scene.namespaces.list;
  scene.follow({ osl: [1] }, 'other');
  expect(scene.namespaces.list[0] === before).toBe(false);
});

test('new interfaces change the namespaces in place, and no server without volumes is lost', () => {
  const scene = new Scene({ osl: [1] });
  const [before] = scene.namespaces.list;
  const next = configOf({ osl: [3] });
  expect(scene.namespaces.lostBy(next)).toEqual([]);
  scene.current.setups = setupsOf(next);
  scene.namespaces.followInterfaces();
  expect([scene.namespaces.list[0] === before, scene.names]).toEqual([true, ['osl big-3']]);
});
