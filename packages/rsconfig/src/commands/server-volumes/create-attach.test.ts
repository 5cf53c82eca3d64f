// Tests `volume create --attach`: the volume is created, listed and attached, or the error says which step failed. The choice of the server
// is in chosen-server.test.ts.

import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { RsError } from '@rsio/base/lib/errors';
import { volume } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { run } from '../../testing/rsconfig-run.ts';
import { BIG_9, asked, machine, serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';

useServerVolumes();

describe('create --attach', () => {
  test('waits until the server lists the volume, attaches it from there and prints its device', async () => {
    const seen: unknown[] = [];
    await serve([BIG_9], {
      'await-volume': (params) => {
        seen.push(params);
        return { listed: true };
      },
      attach: (params) => {
        seen.push(params);
        return { outcomes: [{ volume: 'osl:db@0', done: true, already: false, device: '/dev/av0/db', error: null }] };
      },
    });
    const out = 'osl:db@0 created in pool fast of server big-9, 20.0G\nosl:db@0 attached /dev/av0/db\n';
    expect(await run('volume create db --size 20g --attach --read-only')).toEqual({ code: 0, out, err: '' });
    expect(seen).toEqual([
      { namespace: 'osl', server: 'big-9', id: volume().id },
      { names: ['osl:db@0'], readOnly: true, server: 'big-9', take: 'no', owner: 'person' },
    ]);
  });

  const failing = (message: string, code = 'E_SYSTEM') => ({
    attach: () => ({ outcomes: [{ volume: 'osl:db@0', done: false, already: false, device: null, error: { code, message } }] }),
  });

  test.each<[string, Partial<ControlHandlers>, string]>([
    ['rsiod cannot attach it', failing('No free loop device'), 'No free loop device; rsconfig -a osl:db@0 attaches it [E_SYSTEM]'],
    ['it does not appear', { 'await-volume': () => ({ listed: false }) }, 'its server does not list it for this client; rsconfig -a'],
    [
      'rsiod fails',
      {
        'await-volume': () => {
          throw new RsError('E_LIMIT', 'too many wait');
        },
      },
      'too many wait; rsconfig -a osl:db@0 attaches it [E_LIMIT]',
    ],
  ])('%s: says that the volume exists and how to go on', async (_, handlers, message) => {
    await serve([BIG_9], handlers);
    const { code, out, err } = await run('volume create db --size 20g --attach');
    expect({ code, out }).toEqual({ code: 1, out: 'osl:db@0 created in pool fast of server big-9, 20.0G\n' });
    expect(err).toContain(`rsconfig: osl:db@0 was created and is not attached: ${message}`);
  });

  test('a volume for other clients only is refused before it is created', async () => {
    await serve();
    const err = 'rsconfig: --attach needs this client in --clients: add big-6, see rsconfig --help [E_USAGE]\n';
    expect(await run('volume create db --size 20g --attach --clients venus,mars')).toEqual({ code: 2, out: '', err });
    expect(asked).toEqual([]);
    expect((await run('volume create db --size 20g --attach --clients venus,big-6')).code).toBe(0);
  });

  test('a volume that is not served is not attached', async () => {
    await serve([
      machine('big-9', { 'volume-create': () => ({ volume: volume({ name: 'db', state: 'unavailable', reason: 'its file is locked' }) }) }),
    ]);
    const { code, err } = await run('volume create db --size 20g --attach');
    expect(code).toBe(1);
    expect(err).toContain('osl:db@0 is not served: its file is locked\n');
    expect(err).toContain('osl:db@0 was created and is not attached: the server does not serve it: its file is locked');
  });
});
