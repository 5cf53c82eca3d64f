// Tests commands that change an attached mirror, with the production decider and scripted servers: members, voters and volumes after a
// change; refusals before anything is created; a replaced server that returns; a change that the next holder finishes.
// change-failures.test.ts tests failing steps. Rules: M16, M17, G35.

import { RsError } from '@rsio/base/lib/errors';
import { replication } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { ChangeScene } from '../../testing/change-scene.ts';
import { votersFor } from './change.ts';
import { surveyMirror } from './survey.ts';
import { mirrorView } from './views.ts';

describe('add', () => {
  test('makes a replica on a third server, which votes instead of the witness', async () => {
    const scene = await ChangeScene.attached();
    const { mirror, warnings, left } = await scene.add('big-7');
    expect({ warnings, left }).toEqual({ warnings: [], left: [] });
    expect(mirror.replicas.map((one) => [one.server, one.inSync])).toEqual([
      ['big-9', true],
      ['big-8', true],
      ['big-7', false],
    ]);
    const replica = 'volume mark record';
    expect(scene.shown).toEqual({
      members: 'big-9 big-8 big-7',
      voters: 'big-9 big-8 big-7',
      has: { 'big-9': replica, 'big-8': replica, 'pi-1': '', 'big-7': replica, 'big-6': '' },
    });
    scene.check();
    scene.held?.copied();
    await scene.until(() => scene.held?.view?.isAllInSync === true);
    expect(scene.config.inSync).toHaveLength(3);
  });

  test('makes the server a voter beside the others while there are fewer than three', async () => {
    const scene = await ChangeScene.attached(['big-9', 'big-8'], null);
    await scene.detach('big-8', true);
    expect(scene.shown).toMatchObject({ members: 'big-9', voters: 'big-9', has: { 'big-8': '' } });
    const { warnings } = await scene.add('big-7');
    expect(warnings).toEqual([expect.stringMatching(/no witness: if big-9 or big-7 fails/)]);
    expect(scene.shown).toMatchObject({ members: 'big-9 big-7', voters: 'big-9 big-7' });
    scene.check();
  });

  test('takes a former replica with a new identity', async () => {
    const scene = await ChangeScene.attached();
    const before = scene.config.members[1]?.identity;
    scene.held?.down(scene.server('big-8'));
    await scene.replace('big-8', 'big-7');
    scene.server('big-8').trouble = null;
    scene.held?.up(scene.server('big-8'));
    await scene.add('big-8');
    expect(scene.shown).toMatchObject({ members: 'big-9 big-7 big-8', voters: 'big-9 big-7 big-8' });
    expect(scene.config.members.map(({ identity }) => identity)).not.toContain(before);
    scene.check();
  });

  test.each([
    ['big-8', 'E_EXISTS', 'Server big-8 has a replica of mirror osl:db@0 already'],
    ['big-5', 'E_USAGE', 'No server "big-5" of namespace osl was reached: known are big-9, big-8, pi-1, big-7, big-6'],
  ])('on %s is refused', async (name, code, message) => {
    const scene = await ChangeScene.attached();
    const before = scene.shown;
    expect(await scene.refusal(scene.add(name))).toMatchObject({ code, message });
    expect(scene.shown).toEqual(before);
  });

  test('is refused where a volume has the name, and the volume stays', async () => {
    const scene = await ChangeScene.attached();
    await scene.server('big-7').callAdmin('volume-create', { name: 'db', universe: 0, sizeBytes: 1, request: 'other' });
    const { code, message } = await scene.refusal(scene.add('big-7'));
    expect([code, message]).toEqual([
      'E_EXISTS',
      expect.stringMatching(/Volume db@0 exists \(rsconfig volume remove osl:db@0 --server big-7 .*\); nothing is left/),
    ]);
    expect(scene.shown).toMatchObject({ voters: 'big-9 big-8 pi-1', has: { 'big-7': 'volume' } });
  });

  test('is refused for the fourth replica, and beside another change', async () => {
    const scene = await ChangeScene.attached(['big-9', 'big-8', 'pi-1'], null);
    expect(await scene.refusal(scene.add('big-7'))).toMatchObject({ code: 'E_LIMIT' });
    const one = scene.detach('pi-1');
    expect(await scene.refusal(scene.detach('big-8'))).toMatchObject({ code: 'E_BUSY' });
    await one;
  });

  test('names who has the mirror, and what a name that is no mirror is', async () => {
    const scene = await ChangeScene.attached();
    scene.held = null;
    expect(await scene.refusal(scene.add('big-7'))).toMatchObject({ code: 'E_BUSY', message: expect.stringMatching(/this client has it/) });
    const term = { number: 9, node: 'big-3', instance: 4 };
    for (const { records } of scene.servers) for (const record of records.values()) record.promise = term;
    expect(await scene.refusal(scene.add('big-7'))).toMatchObject({
      code: 'E_HELD',
      message: 'Client big-3 has mirror osl:db@0 attached: give the command on that machine',
    });
    const other = { namespace: null, name: 'plain', universe: 0, server: 'big-7', pool: null, request: null };
    expect(await scene.refusal(scene.changes.add(other))).toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
    await scene.server('big-9').callAdmin('volume-create', { name: 'plain', universe: 0 });
    expect(await scene.refusal(scene.changes.detach({ ...other, volume: false }))).toMatchObject({
      message: expect.stringMatching(/^Volume osl:plain@0 is no mirror/),
    });
  });
});

describe('a server that joins a replicated mirror', () => {
  const volumes = [{ name: 'db', universe: 0 }];
  const settings = { pool: 'fast', everyMs: 300_000, keep: 12, limitBytes: 1_048_576 };
  const listed = replication({ ...settings, volumes, peer: 'oslo' });
  async function replicated(): Promise<ChangeScene> {
    const scene = await ChangeScene.attached();
    for (const name of ['big-9', 'big-8'])
      scene.server(name).replications = [listed, replication({ volumes: [{ name: 'log', universe: 0 }] })];
    return scene;
  }

  test.each(['add', 'replace'] as const)('gets the orders of the others, by %s', async (how) => {
    const scene = await replicated();
    const { warnings, left } = await (how === 'add' ? scene.add('big-7') : scene.replace('big-8', 'big-7'));
    expect(left).toEqual([]);
    expect(warnings.filter((text) => text.includes('order'))).toEqual([]);
    expect(scene.server('big-7').ordered).toEqual([{ volumes, to: 'oslo', ...settings, request: expect.any(String) as string }]);
    expect(scene.steps.indexOf('big-7 volume-replicate')).toBeGreaterThan(scene.steps.lastIndexOf('big-7 place'));
  });

  test('and joins without the order if it refuses, with the command that gives it', async () => {
    const scene = await replicated();
    scene.fails = (step) => (step === 'big-7 volume-replicate' ? 'refused' : null);
    const { warnings } = await scene.add('big-7');
    expect(scene.shown.members).toBe('big-9 big-8 big-7');
    expect(warnings).toEqual([
      'Server big-7 lacks the order to replicate the mirror to oslo (Server big-7 did not answer volume-replicate): ' +
        'rsconfig volume replicate osl:db@0 --to oslo --every 5m --keep 12 --limit 1048576 gives it',
    ]);
  });
});

test('a replica that may be a member is not taken back, and is one when the voters answer', async () => {
  const scene = await ChangeScene.attached();
  let isPlaced = false;
  scene.fails = (step) => {
    isPlaced ||= step === 'big-7 place';
    return isPlaced && step.endsWith(' config') ? 'refused' : null;
  };
  const { code, message } = await scene.refusal(scene.add('big-7'));
  expect(code).toBe('E_TIMEOUT');
  expect(message).toMatch(/The change was sent to the voters.*server big-7 may have become a member: rsconfig mirror list/);
  expect(scene.shown.has['big-7']).toBe('volume mark record');
  scene.fails = () => null;
  await scene.until(() => scene.held?.view?.isPending === false);
  expect(scene.shown.members).toBe('big-9 big-8 big-7');
  scene.check();
});

describe('replace', () => {
  test('puts another server in the place of one that is dead, which does no harm when it is back', async () => {
    const scene = await ChangeScene.attached();
    const old = scene.server('big-8');
    scene.held?.down(old);
    const { warnings, left } = await scene.replace('big-8', 'big-7');
    expect(left).toEqual([]);
    expect(warnings).toEqual([
      'Server big-8 may keep a replica that is out of date and a record (Server big-8 of osl is not connected): when it is back, rsconfig mirror detach osl:db@0 --server big-8 removes what it has',
    ]);
    expect(scene.shown).toMatchObject({ members: 'big-9 big-7', voters: 'big-9 big-7 pi-1', has: { 'big-8': 'volume mark record' } });
    scene.held?.copied();
    await scene.until(() => scene.held?.view?.isAllInSync === true);
    // Another client was cut off together with the old server, and has claimed the mirror only there.
    old.records.get(scene.mirror)!.promise = { number: 99, node: 'big-3', instance: 4 };
    old.trouble = null;
    scene.held?.up(old);
    await scene.until(() => scene.steps.includes('big-8 record'));
    expect(scene.held).toMatchObject({ hasEnded: false, view: { isAllInSync: true, waitsFor: null } });
    expect(scene.held?.view?.replicas.map(({ server }) => server)).toEqual([1, 4]);
    const shown = async () => mirrorView(await surveyMirror('osl', scene.servers, scene.mirror)).stale;
    expect(await shown(), 'it says that it is out of date').toEqual([{ server: 'big-8', serverid: 2, volume: 'db', universe: 0 }]);
    expect(await scene.refusal(scene.add('big-8'))).toMatchObject({
      code: 'E_HELD',
      message: expect.stringMatching(/rsadm witness remove/),
    });
    old.records.get(scene.mirror)!.promise = null;
    expect(await scene.detach('big-8', true)).toMatchObject({ warnings: [], left: [] });
    expect(scene.shown).toMatchObject({ members: 'big-9 big-7', has: { 'big-8': '' } });
    expect(await shown()).toEqual([]);
    scene.check();
  });

  test('moves a replica away from a server that answers, whose volume becomes a plain one', async () => {
    const scene = await ChangeScene.attached();
    const { warnings } = await scene.replace('big-8', 'big-7');
    expect(warnings).toEqual([expect.stringMatching(/^Server big-8 keeps what was its replica as volume osl:db-detached@0/)]);
    expect(scene.shown).toMatchObject({ members: 'big-9 big-7', voters: 'big-9 big-7 pi-1', has: { 'big-8': 'volume' } });
    scene.check();
  });

  test('gives a server that has lost everything its place again', async () => {
    const scene = await ChangeScene.attached();
    const server = scene.server('big-8');
    scene.held?.down(server);
    server.records.clear();
    server.stock.clear();
    server.trouble = null;
    scene.held?.up(server);
    await scene.replace('big-8', 'big-8');
    expect(scene.shown).toMatchObject({ members: 'big-9 big-8', voters: 'big-9 big-8 pi-1' });
    scene.check();
  });

  test('is refused for the last replica in sync, without most voters, and for a server that has nothing', async () => {
    const scene = await ChangeScene.attached();
    scene.held?.down(scene.server('big-8'));
    await scene.until(() => scene.config.inSync.length === 1);
    expect(await scene.refusal(scene.replace('big-9', 'big-7'))).toMatchObject({
      message: expect.stringMatching(/the last one .*in sync/),
    });
    expect(await scene.refusal(scene.replace('big-6', 'big-7'))).toMatchObject({ message: expect.stringMatching(/rsconfig mirror add/) });
    scene.server('pi-1').trouble = new RsError('E_NO_PATH', 'gone');
    expect(await scene.refusal(scene.replace('big-8', 'big-7'))).toMatchObject({
      code: 'E_NO_PATH',
      message: 'Too few voters of mirror osl:db@0 answer to change it: big-8 and pi-1 are missing',
    });
    expect(scene.shown.has['big-7']).toBe('');
  });
});

describe('detach', () => {
  test('removes a replica, whose server stays a witness of a mirror with three voters', async () => {
    const scene = await ChangeScene.attached(['big-9', 'big-8', 'pi-1'], null);
    const { warnings } = await scene.detach('pi-1', true);
    expect(warnings).toEqual(['Server pi-1 still votes for mirror osl:db@0, as a witness']);
    expect(scene.shown).toMatchObject({ members: 'big-9 big-8', voters: 'big-9 big-8 pi-1', has: { 'pi-1': 'record' } });
    scene.check();
  });

  test('refuses the last replica, and a server that only votes', async () => {
    const scene = await ChangeScene.attached();
    expect(await scene.refusal(scene.detach('pi-1'))).toMatchObject({ message: expect.stringMatching(/only votes/) });
    expect(await scene.refusal(scene.detach('big-6'))).toMatchObject({ message: expect.stringMatching(/has nothing of mirror/) });
    // The old replica is renamed, because a client that reaches only big-8 would otherwise attach outdated data as the mirror.
    const kept = 'Server big-8 keeps what was its replica as volume osl:db-detached@0, which is out of date from now on';
    expect(await scene.detach('big-8')).toMatchObject({ warnings: expect.arrayContaining([kept]) as string[], left: [] });
    expect(scene.servers.find(({ name }) => name === 'big-8')?.left).toContain('volume db-detached@0');
    expect(scene.shown).toMatchObject({ voters: 'big-9 big-8 pi-1', has: { 'big-8': 'volume record' } });
    expect(await scene.refusal(scene.detach('big-9'))).toMatchObject({ message: expect.stringMatching(/the only replica/) });
  });
});

describe('witness', () => {
  test('is another server, then none, then one that has lost its record', async () => {
    const scene = await ChangeScene.attached();
    await scene.witness('big-7');
    expect(scene.shown).toMatchObject({ voters: 'big-9 big-8 big-7', has: { 'pi-1': '', 'big-7': 'record' } });
    expect(await scene.witness(null)).toMatchObject({ warnings: [expect.stringMatching(/has no witness/)] });
    expect(scene.shown).toMatchObject({ voters: 'big-9 big-8', has: { 'big-7': '' } });
    await scene.witness('pi-1');
    scene.server('pi-1').records.clear();
    await scene.witness('pi-1');
    expect(scene.shown).toMatchObject({ voters: 'big-9 big-8 pi-1' });
    scene.check();
  });

  test('that refuses is named, and the voters stay', async () => {
    const scene = await ChangeScene.attached();
    scene.server('big-7').mayFound = false;
    const { message } = await scene.refusal(scene.witness('big-7'));
    expect(message).toMatch(/^Server big-7 does not vote for mirror osl:db@0: Server big-7: This server is no witness; nothing is left/);
    expect(await scene.refusal(scene.witness('big-8'))).toMatchObject({ code: 'E_USAGE' });
    expect(scene.shown).toMatchObject({ voters: 'big-9 big-8 pi-1', has: { 'big-7': '' } });
  });
});

test('a change of voters that stops between its two steps is finished by the next holder', async () => {
  const scene = await ChangeScene.attached();
  // Every server refuses the second configuration, which names only the new voters.
  const dead = new Set<string>();
  scene.fails = (step) => {
    if (step.endsWith(' config') && scene.config.nextVoters !== null) for (const { name } of scene.servers) dead.add(name);
    return dead.size > 0 ? 'refused' : null;
  };
  void scene.changes.witness({ namespace: null, name: 'db', universe: 0, witness: 'big-7' }).catch(() => undefined);
  await scene.until(() => dead.size > 0);
  scene.fails = () => null;
  expect(scene.config.nextVoters).not.toBeNull();
  await scene.attach();
  await scene.until(() => scene.config.nextVoters === null);
  expect(scene.shown.voters).toBe('big-9 big-8 big-7');
  scene.check();
});

test.each([
  [[1], [], [1]],
  [[1], [2], [1]],
  [[1], [2, 3], [1, 2, 3]],
  [
    [1, 2],
    [3, 4],
    [1, 2, 3],
  ],
  [[1, 2, 3], [4], [1, 2, 3]],
  [[1, 2], [2], [1, 2]],
])('replicas on %j and witnesses %j: voters are %j', (replicas, witnesses, voters) => {
  expect(votersFor(replicas, witnesses)).toEqual(voters);
});
