// The order of reloads and their log lines, with a configuration and a listener of the test.
// The content of a plan is in reload-plan.test.ts.

import { expect, test } from 'vitest';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { type Log, quietLog } from '@rsio/common/log/log';
import { smallRssrvcfg } from '@rsio/common/testing/sample-rssrvcfg';
import { type LoadedConfig, Reloader } from './reloader.ts';

function fileWith(address: string, more = ''): string {
  return smallRssrvcfg({ server: more, addresses: [address] });
}

class Scene {
  readonly said: string[] = [];
  readonly applied: string[] = [];
  text = fileWith('10.0.0.1');
  config: RssrvConfig = parseRssrvConfig(this.text, 'rssrvcfg');
  failure: RsError | null = null;
  release: () => void = () => {};
  isHeld = false;
  discarded = 0;
  readonly reloader: Reloader<LoadedConfig>;

  constructor() {
    const log: Log = {
      ...quietLog,
      info: (sentence) => void this.said.push(sentence),
      warn: (sentence) => void this.said.push(`warning: ${sentence}`),
      error: (sentence) => void this.said.push(`error: ${sentence}`),
    };
    this.reloader = new Reloader({
      log,
      current: () => this.config,
      load: async () => ({ config: parseRssrvConfig(this.text, 'rssrvcfg'), discard: async () => void this.discarded++ }),
      exclusive: (work) => work(),
      standingOf: () => ({ sizeBytes: null, users: [] }),
      apply: async (_plan, next) => {
        if (this.isHeld) await new Promise<void>((resolve) => (this.release = resolve));
        if (this.failure !== null) throw this.failure;
        this.config = next.config;
        this.applied.push(next.config.interfaces[0]?.address ?? '');
      },
      setLevel: (level) => void this.said.push(`level ${level}`),
    });
  }

  async reload(): Promise<void> {
    this.reloader.ask();
    await this.reloader.idle();
  }
}

test('a reload reports the applied changes, or that nothing changed', async () => {
  const scene = new Scene();
  await scene.reload();
  scene.text = fileWith('10.0.0.2');
  await scene.reload();
  expect(scene.applied).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(scene.said).toEqual([
    'Reload: nothing has changed',
    'Reload: interface if1 (10.0.0.1:5000) is closed; interface if1 (10.0.0.2:5000) was added',
  ]);
});

test('messages of a reload are logged at the more verbose of the two levels', async () => {
  const scene = new Scene();
  for (const level of ['error', 'fatal', 'trace']) {
    scene.text = fileWith('10.0.0.1', `log-level = ${level}\n`);
    await scene.reload();
  }
  scene.text = fileWith('10.0.0.1');
  await scene.reload();
  const quieter = (level: string): string[] => [`Reload: log-level is ${level}`, `level ${level}`];
  expect(scene.said).toEqual([...quieter('error'), ...quieter('fatal'), ...quieter('trace').toReversed(), ...quieter('info')]);
});

test('a wrong file: every problem is reported with its line, and the old configuration is kept', async () => {
  const scene = new Scene();
  scene.text = fileWith('10.0.0', 'serverkey = \n').replace('namespaceid = 200', 'namespaceid = 70000');
  await scene.reload();
  expect(scene.applied).toEqual([]);
  expect(scene.said).toEqual([
    expect.stringMatching(/^error: Reload: rssrvcfg:2: .*70000.* \[E_CONFIG\]$/),
    expect.stringMatching(/^error: Reload: rssrvcfg:5: .*serverkey/),
    expect.stringMatching(/^error: Reload: rssrvcfg:7: .*10\.0\.0/),
    'error: Reload refused: the server keeps its current configuration',
  ]);
});

test('a refused change, and an unusable interface, keep the old configuration too', async () => {
  const scene = new Scene();
  scene.text = fileWith('10.0.0.2').replace('serverid = 1', 'serverid = 2');
  await scene.reload();
  scene.text = fileWith('10.0.0.2');
  scene.failure = new RsError('E_ADDRESS_MISSING', 'Cannot listen on 10.0.0.2: correct it');
  await scene.reload();
  expect(scene.config.interfaces[0]?.address).toBe('10.0.0.1');
  expect(scene.said).toEqual([
    expect.stringMatching(/^error: Reload: serverid in \[server big-9\] has changed.*: restart rssrv/),
    'error: Reload refused: the server keeps its current configuration',
    'error: Reload: Cannot listen on 10.0.0.2: correct it [E_ADDRESS_MISSING]',
    'error: Reload refused: the server keeps its current configuration',
  ]);
});

test('requests during a reload cause exactly one more reload afterwards', async () => {
  const scene = new Scene();
  scene.isHeld = true;
  scene.text = fileWith('10.0.0.2');
  scene.reloader.ask();
  scene.text = fileWith('10.0.0.3');
  scene.reloader.ask();
  scene.reloader.ask();
  scene.isHeld = false;
  scene.release();
  await scene.reloader.idle();
  expect(scene.applied).toEqual(['10.0.0.2', '10.0.0.3']);
});
