// Tests what an interrupted `mirror detach` or `replace` leaves on a server, and the repeated command. Invariant: if the command reports
// that nothing is left, no plain volume keeps the name of the mirror. A volume that a client holds or that has another size is never
// changed. Rules: G35.

import { RsError } from '@rsio/base/lib/errors';
import { describe, expect, test } from 'vitest';
import { ChangeScene, GIB } from '../../testing/change-scene.ts';

/** Runs a command that removes the mark of the replica on big-8 and then fails in `step` at big-8. */
async function interrupted(step: string, work: (scene: ChangeScene) => Promise<unknown>, scene?: ChangeScene): Promise<ChangeScene> {
  const one = scene ?? (await ChangeScene.attached());
  one.fails = (what) => (what === `big-8 ${step}` ? 'refused' : null);
  await work(one).catch(() => undefined);
  one.fails = () => null;
  one.steps = [];
  return one;
}

/** Creates the plain volume `db` that an interrupted command leaves on big-8. */
function leave(scene: ChangeScene, changes: { readonly sizeBytes?: number; readonly holders?: readonly string[] } = {}): void {
  scene.server('big-8').stock.set('db@0', { sizeBytes: GIB, request: 'made', mark: null, ...changes });
}

const ASIDE = 'Server big-8 keeps what was its replica as volume osl:db-detached@0, which is out of date from now on';

describe('a repeated detach finds the plain volume of a server that votes as a witness', () => {
  test('and sets it aside', async () => {
    const scene = await interrupted('volume-rename', (one) => one.detach('big-8'));
    expect(scene.server('big-8').left).toEqual(['volume db@0', 'record']);
    const { warnings, left } = await scene.detach('big-8');
    expect({ warnings, left }).toEqual({ warnings: [ASIDE, 'Server big-8 still votes for mirror osl:db@0, as a witness'], left: [] });
    expect(scene.server('big-8').left).toEqual(['volume db-detached@0', 'record']);
    expect(await scene.refusal(scene.detach('big-8'))).toMatchObject({ code: 'E_USAGE', message: expect.stringMatching(/only votes/) });
    scene.check();
  });

  test('and removes it with --volume', async () => {
    const scene = await interrupted('volume-remove', (one) => one.detach('big-8', true));
    expect(scene.server('big-8').left).toEqual(['volume db@0', 'record']);
    expect(await scene.detach('big-8', true)).toMatchObject({ left: [] });
    expect(scene.server('big-8').left).toEqual(['record']);
    expect((await scene.add('big-8')).left).toEqual([]);
    scene.check();
  });

  test('and touches none that a client holds, and says which client', async () => {
    const scene = await ChangeScene.attached();
    await scene.detach('big-8', true);
    leave(scene, { holders: ['big-3'] });
    for (const removes of [false, true])
      expect(await scene.refusal(scene.detach('big-8', removes))).toMatchObject({
        code: 'E_HELD',
        message:
          'Nothing was changed: server big-8 has a volume osl:db@0 that was a replica of mirror osl:db@0, and client big-3 holds it: detach it there (rsconfig -d osl:db@0), and repeat the command',
      });
    expect(scene.server('big-8').left).toEqual(['volume db@0', 'record']);
  });

  test('and touches none of another size, and none that is a replica of another mirror', async () => {
    const scene = await ChangeScene.attached();
    await scene.detach('big-8', true);
    leave(scene, { sizeBytes: GIB / 2 });
    expect(await scene.refusal(scene.detach('big-8', true))).toMatchObject({ message: expect.stringMatching(/only votes/) });
    scene.server('big-8').stock.set('db@0', { sizeBytes: GIB, request: 'other', mark: { mirror: 'f'.repeat(32), identity: 'one' } });
    expect(await scene.refusal(scene.detach('big-8', true))).toMatchObject({ message: expect.stringMatching(/only votes/) });
    expect(scene.server('big-8').left).toEqual(['volume db@0', 'mark', 'record']);
    expect(scene.steps.filter((step) => /^big-8 volume-(rename|remove)$/.test(step))).toEqual(['big-8 volume-remove']);
  });

  test('also where the server shows nothing to this client, by what it lists', async () => {
    const scene = await ChangeScene.attached();
    await scene.detach('big-8', true);
    leave(scene);
    const server = scene.server('big-8');
    const real = server.callAdmin.bind(server);
    server.callAdmin = async (method, params) => {
      if (method === 'volume-show') throw new RsError('E_RIGHTS', 'No rights');
      return await real(method, params);
    };
    expect(await scene.detach('big-8')).toMatchObject({ warnings: expect.arrayContaining([ASIDE]) as string[], left: [] });
  });
});

test('a volume on a server without a vote and a record is not touched, because nothing proves that it was a replica', async () => {
  const scene = await ChangeScene.attached();
  await scene.replace('big-8', 'big-7');
  scene.server('big-8').stock.clear();
  leave(scene);
  expect(await scene.refusal(scene.detach('big-8', true))).toMatchObject({ message: expect.stringMatching(/has nothing of mirror/) });
  expect(scene.server('big-8').left).toEqual(['volume db@0']);
});

describe('a server that does not vote any more', () => {
  test('keeps its record until its volume is set aside, and detach finds both', async () => {
    const scene = await interrupted('volume-rename', (one) => one.replace('big-8', 'big-7'));
    expect(scene.shown).toMatchObject({ members: 'big-9 big-7', voters: 'big-9 big-7 pi-1', has: { 'big-8': 'volume record' } });
    // A survey does not ask big-8, because the configuration does not name big-8 and the list of big-8 contains no replica.
    expect((await scene.refusal(scene.replace('big-8', 'big-7'))).message).toBe(
      'Server big-8 has no replica of mirror osl:db@0: big-8 still has a volume that was a replica and a record, which rsconfig mirror detach osl:db@0 --server big-8 removes, and rsconfig mirror add osl:db@0 --server big-7 adds the other one',
    );
    expect(await scene.detach('big-8')).toEqual(expect.objectContaining({ warnings: [ASIDE], left: [] }));
    expect(scene.server('big-8').left).toEqual(['volume db-detached@0']);
    expect(await scene.refusal(scene.detach('big-8'))).toMatchObject({ message: expect.stringMatching(/has nothing of mirror/) });
    scene.check();
  });

  test('names the record that stays with the volume', async () => {
    const scene = await ChangeScene.attached();
    scene.fails = (step) => (step === 'big-8 volume-rename' ? 'refused' : null);
    const { warnings, left } = await scene.replace('big-8', 'big-7');
    expect(left).toEqual([expect.stringMatching(/^server big-8 offers volume osl:db@0, which has the name of the mirror/)]);
    expect(warnings).toEqual([
      'Server big-8 keeps its record of mirror osl:db@0 as long as that volume is there: rsconfig mirror detach osl:db@0 --server big-8 removes both',
    ]);
  });

  test('has its record removed last, and a record that cannot be removed is named', async () => {
    const scene = await ChangeScene.attached();
    scene.fails = (step) => (step === 'big-8 dismiss' ? 'refused' : null);
    const { left } = await scene.replace('big-8', 'big-7');
    expect(left).toEqual([expect.stringMatching(/^server big-8 may keep its record .*: rsconfig mirror detach osl:db@0 --server big-8/)]);
    expect(scene.server('big-8').left).toEqual(['volume db-detached@0', 'record']);
    scene.fails = () => null;
    expect(await scene.detach('big-8')).toMatchObject({ warnings: [], left: [] });
    expect(scene.server('big-8').left).toEqual(['volume db-detached@0']);
    const order = scene.steps.filter((step) => /^big-8 (volume-rename|dismiss)$/.test(step));
    expect(order).toEqual(['big-8 volume-rename', 'big-8 dismiss', 'big-8 dismiss']);
  });

  test('has a volume of which a client holds: neither it nor the record is touched', async () => {
    const scene = await interrupted('volume-rename', (one) => one.replace('big-8', 'big-7'));
    leave(scene, { holders: ['big-3'] });
    expect(await scene.refusal(scene.detach('big-8', true))).toMatchObject({ code: 'E_HELD' });
    expect(scene.server('big-8').left).toEqual(['volume db@0', 'record']);
  });
});

describe('replace', () => {
  test('of a server whose replica an interrupted command has removed sets its volume aside', async () => {
    const scene = await interrupted('volume-rename', (one) => one.detach('big-8'));
    const { warnings, left } = await scene.replace('big-8', 'big-7');
    expect({ warnings, left }).toEqual({ warnings: [ASIDE], left: [] });
    expect(scene.shown).toMatchObject({ members: 'big-9 big-7', voters: 'big-9 big-7 pi-1', has: { 'big-8': 'volume' } });
    scene.check();
  });

  test('leaves a volume that a client holds, and the record with it', async () => {
    const scene = await ChangeScene.attached();
    await scene.detach('big-8', true);
    leave(scene, { holders: ['big-3'] });
    const { warnings, left } = await scene.replace('big-8', 'big-7');
    expect(left).toEqual([expect.stringMatching(/client big-3 holds it/)]);
    expect(warnings).toEqual([expect.stringMatching(/^Server big-8 keeps its record/)]);
    expect(scene.server('big-8').left).toEqual(['volume db@0', 'record']);
  });
});

test('a server that does not answer is not said to vote only, or to have nothing', async () => {
  const scene = await interrupted('volume-rename', (one) => one.detach('big-8'));
  for (const name of ['big-8', 'big-6']) {
    scene.server(name).trouble = new RsError('E_NO_PATH', `Server ${name} of osl is not connected`);
    expect(await scene.refusal(scene.detach(name))).toMatchObject({
      code: 'E_NO_PATH',
      message: `Server ${name} does not answer (Server ${name} of osl is not connected), so that it is unknown what it has of mirror osl:db@0: repeat the command when it answers`,
    });
    scene.server(name).trouble = null;
  }
  scene.fails = (step) => (step === 'big-8 volume-show' ? 'refused' : null);
  expect(await scene.refusal(scene.detach('big-8'))).toMatchObject({ code: 'E_NO_PATH' });
});

test('a detach that was interrupted before the change of voters is finished: two voters of one replica become one', async () => {
  const scene = await ChangeScene.attached(['big-9', 'big-8'], null);
  const member = scene.config.members.find(({ serverid }) => serverid === 2)!;
  await scene.run(scene.held!.wish({ kind: 'remove', identity: member.identity }));
  expect(scene.shown).toMatchObject({ members: 'big-9', voters: 'big-9 big-8', has: { 'big-8': 'volume record' } });
  const { warnings, left } = await scene.detach('big-8');
  expect({ warnings, left }).toEqual({ warnings: [ASIDE], left: [] });
  expect(scene.shown).toMatchObject({ members: 'big-9', voters: 'big-9', has: { 'big-8': 'volume' } });
  scene.check();
});
