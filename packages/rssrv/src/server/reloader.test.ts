// Tests the order of reloads and of their log lines. Stand-ins replace the configuration and the listener. reload-plan.test.ts tests the
// plans.

import { expect, test } from 'vitest';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { type Log, quietLog } from '@rsio/base/log/log';
import { smallRssrvcfg } from '@rsio/common/testing/sample-rssrvcfg';
import { type LoadedConfig, Reloader } from './reloader.ts';

function fileWith(address: string, more = ''): string {
  return smallRssrvcfg({ server: more, addresses: [address] });
}

class Scene {
  readonly said: string[] = [];
  /** Texts of the lines in the audit trail. */
  readonly audited: string[] = [];
  readonly applied: string[] = [];
  text = fileWith('10.0.0.1');
  config: RssrvConfig = parseRssrvConfig(this.text, 'rssrvcfg');
  failure: RsError | null = null;
  release: () => void = () => {};
  readonly ended: string[] = [];
  isHeld = false;
  isWaiting = false;
  discarded = 0;
  readonly reloader: Reloader<LoadedConfig>;

  constructor() {
    const log: Log = {
      ...quietLog,
      info: (sentence, fields) => {
        this.said.push(sentence);
        if (fields?.['audit'] === true) this.audited.push(sentence);
      },
      warn: (sentence) => void this.said.push(`warning: ${sentence}`),
      error: (sentence) => void this.said.push(`error: ${sentence}`),
    };
    this.reloader = new Reloader({
      log,
      current: () => this.config,
      load: async (text = this.text) => ({ config: parseRssrvConfig(text, 'rssrvcfg'), discard: async () => void this.discarded++ }),
      exclusive: (work) => work(),
      examine: async () => {
        if (this.failure !== null) throw this.failure;
      },
      standingOf: () => ({ sizeBytes: null, users: [] }),
      apply: async (_plan, next) => {
        if (this.isHeld) await this.untilReleased();
        if (this.failure !== null) throw this.failure;
        this.config = next.config;
        this.applied.push(next.config.interfaces[0]?.address ?? '');
      },
      ended: (by, changes, error) => void this.ended.push(`${by}: ${error?.code ?? changes.join()}`),
      setLevel: (level) => void this.said.push(`level ${level}`),
    });
  }

  private async untilReleased(): Promise<void> {
    this.isWaiting = true;
    await new Promise<void>((resolve) => (this.release = resolve));
    this.isWaiting = false;
  }

  async reload(): Promise<void> {
    this.reloader.ask('SIGHUP');
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
  scene.text = 'nonsense';
  await scene.reload();
  await scene.reloader.request('client ops').catch(() => undefined);
  const changes = 'interface if1 (10.0.0.1:5000) is closed,interface if1 (10.0.0.2:5000) was added';
  expect(scene.ended).toEqual(['SIGHUP: ', `SIGHUP: ${changes}`, 'SIGHUP: E_CONFIG']);
});

test('a reload that changes keys, rights or clients is in the audit trail, with everybody who asked for it and without keys', async () => {
  const scene = new Scene();
  scene.text = fileWith('10.0.0.2');
  await scene.reload();
  expect(scene.audited, 'an interface is none of these').toEqual([]);
  scene.text += '\n[clients]\nbig-2 0xfirst-key-of-the-client\n';
  await scene.reload();
  scene.text += '[rights]\nbig-2 admin\n';
  await scene.reloader.request('client ops');
  scene.isHeld = true;
  scene.reloader.ask('SIGHUP');
  await expect.poll(() => scene.isWaiting).toBe(true);
  // The two requests arrive while a reload is in progress, and the next reload answers both requests.
  const both = ['an administrator on the server', 'client ops'].map((by) => scene.reloader.request(by));
  scene.text = scene.text.replace('0xfirst', '0xother');
  scene.isHeld = false;
  scene.release();
  await Promise.all(both);
  expect(scene.audited).toEqual([
    'Reload: client big-2 is added, by SIGHUP',
    'Reload: client big-2 has other rights; a forced take-over needs the right admin, by client ops',
    'Reload: client big-2 has a new key: a session by the old one ends, its holds stay, by an administrator on the server and client ops',
  ]);
  expect(scene.audited.join()).not.toContain('0x');
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
  scene.reloader.ask('SIGHUP');
  scene.text = fileWith('10.0.0.3');
  scene.reloader.ask('SIGHUP');
  scene.reloader.ask('SIGHUP');
  scene.isHeld = false;
  scene.release();
  await scene.reloader.idle();
  expect(scene.applied).toEqual(['10.0.0.2', '10.0.0.3']);
});

test('a corrected file is read although the reload before it, which was still in progress, is refused', async () => {
  const scene = new Scene();
  scene.isHeld = true;
  scene.text = fileWith('10.0.0.2');
  const refused = scene.reloader.request('SIGHUP').catch((thrown: unknown) => {
    scene.failure = null;
    throw thrown;
  });
  await expect.poll(() => scene.isWaiting).toBe(true);
  scene.text = fileWith('10.0.0.3');
  const corrected = scene.reloader.request('SIGHUP');
  scene.failure = new RsError('E_ADDRESS_MISSING', 'Cannot listen on 10.0.0.2: correct it');
  scene.isHeld = false;
  scene.release();
  await expect(refused).rejects.toMatchObject({ code: 'E_ADDRESS_MISSING' });
  expect(await corrected).toContain('interface if1 (10.0.0.3:5000) was added');
  expect(scene.applied).toEqual(['10.0.0.3']);
});

test('a request that follows the answer to another one at once is answered too', async () => {
  const scene = new Scene();
  for (const address of ['10.0.0.2', '10.0.0.3', '10.0.0.4']) {
    scene.text = fileWith(address);
    expect(await scene.reloader.request('SIGHUP')).toContain(`interface if1 (${address}:5000) was added`);
  }
  expect(scene.applied).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4']);
});

test('a text is examined as a reload would, and nothing changes', async () => {
  const scene = new Scene();
  const text = fileWith('10.0.0.2');
  expect(await scene.reloader.check(text)).toMatchObject({
    changes: ['interface if1 (10.0.0.1:5000) is closed', 'interface if1 (10.0.0.2:5000) was added'],
  });
  await expect(scene.reloader.check('[')).rejects.toMatchObject({ code: 'E_CONFIG' });
  await expect(scene.reloader.check(text.replace('serverid = 1', 'serverid = 2'))).rejects.toThrow(
    'serverid in [server big-9] has changed',
  );
  scene.failure = new RsError('E_ADDRESS_IN_USE', 'Another program uses the port');
  await expect(scene.reloader.check(text)).rejects.toMatchObject({ code: 'E_ADDRESS_IN_USE' });
  expect(scene.discarded, 'what was opened for a text that was read is closed again').toBe(3);
  expect([scene.applied, scene.said]).toEqual([[], []]);
});
