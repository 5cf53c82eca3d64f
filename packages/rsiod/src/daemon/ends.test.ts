// Tests what refuses an end or a restart of the daemon, and that the answer comes before the end. Frontends and data processes are fakes.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { AttachedVolumes } from '../attachments/attached-volumes.ts';
import { RESTART_ANSWER_MS } from '../control/limits.ts';
import type { Frontends } from '../frontends/frontends.ts';
import type { ProcessRole } from '../processes/role.ts';
import type { Volume } from '../volumes/volume.ts';
import { Ends } from './ends.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly done: string[] = [];
  users: readonly string[] = [];
  elsewhere: string | null = null;
  readonly ends: Ends;

  constructor(keeper: object | null = {}) {
    const volumes = new AttachedVolumes();
    volumes.list.push({ namespace: 'osl', name: 'db', universe: 0, id: 'id' } as unknown as Volume);
    this.ends = new Ends({
      clock: this.clock,
      keeper,
      volumes,
      frontends: {
        leftVolumes: [],
        usersAtEnd: async () => this.users,
        lackAtRestart: async () => 'no keeper',
      } as unknown as Frontends,
      role: { processes: { refusal: async () => this.elsewhere } } as unknown as Pick<ProcessRole, 'processes'>,
      restart: async () => void this.done.push('restart'),
      stop: () => void this.done.push('stop'),
    });
    this.ends.state = 'running';
  }

  pass(): string[] {
    this.clock.advance(RESTART_ANSWER_MS);
    return this.done.splice(0);
  }
}

test('a stop without force is refused while a volume is in use, here or in a data process', async () => {
  const scene = new Scene();
  scene.users = ['mount point /mnt'];
  await expect(scene.ends.end(false)).rejects.toMatchObject({ code: 'E_IN_USE', message: /osl:db@0 is in use by mount point/ });
  [scene.users, scene.elsewhere] = [[], 'Data process 1 does not answer'];
  await expect(scene.ends.end(false)).rejects.toMatchObject({ code: 'E_IN_USE', message: 'Data process 1 does not answer' });
  expect(scene.pass()).toEqual([]);
});

test('a stop with force is refused by nothing, and comes after its answer', async () => {
  const scene = new Scene();
  scene.users = ['mount point /mnt'];
  await scene.ends.end(true);
  expect([scene.done, scene.pass(), await scene.ends.refusal('stop')]).toEqual([[], ['stop'], null]);
  expect(await scene.ends.refusal('restart')).toMatch(/a restart would cut it off/);
});

test('a restart needs a keeper and a running daemon, and is executed once', async () => {
  await expect(new Scene(null).ends.restart()).rejects.toMatchObject({ code: 'E_SYSTEM' });
  const scene = new Scene();
  scene.ends.state = 'starting';
  await expect(scene.ends.restart()).rejects.toMatchObject({ code: 'E_SHUTTING_DOWN' });
  scene.ends.state = 'running';
  await Promise.all([scene.ends.restart(), scene.ends.restart()]);
  expect([scene.ends.state, scene.done, scene.pass()]).toEqual(['restarting', [], ['restart']]);
});
