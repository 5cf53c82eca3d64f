// Tests `rsconfig mirror force` from arguments to output: nothing changes before the user has seen the possible losses. The work of rsiod
// is tested in rsiod's mirrors/commands/, and with real servers in test/integration/mirror-force.test.ts.

import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import type { ForcedMirror } from '@rsio/api/views/mirror-views';
import { expect, test } from 'vitest';
import { run } from '../../testing/rsconfig-run.ts';
import { serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';
import { mirror } from '../../testing/views.ts';

useServerVolumes();

const PLAN: ForcedMirror = {
  namespace: 'osl',
  name: 'db',
  universe: 0,
  voters: ['big-9', 'pi-2'],
  missing: ['big-8'],
  seen: 'what it is',
  mirror: null,
  left: [],
  replicas: [{ server: 'big-9', inSync: true }],
  lost: ['big-9 has every write that was acknowledged'],
  warnings: ['If big-9 or pi-2 fails, the volume stops'],
};
const FORCE = 'mirror force db --servers big-9,pi-2';

async function served(changes: Partial<ForcedMirror> = {}): Promise<unknown[]> {
  const asked: unknown[] = [];
  const force: ControlHandlers['mirror-force'] = (params) => {
    asked.push(params);
    return params.seen === null ? PLAN : { ...PLAN, mirror: 'f'.repeat(32), ...changes };
  };
  await serve([], { 'mirror-force': force });
  return asked;
}

test('says what may be lost, and makes what it has said', async () => {
  const asked = await served();
  expect(await run(`${FORCE} --yes`)).toEqual({
    code: 0,
    out: 'osl:db@0 is on big-9 (in sync), witness pi-2\n    rsconfig -a osl:db@0 --server big-9 attaches it\n',
    err: 'rsconfig: big-9 has every write that was acknowledged\nrsconfig: If big-9 or pi-2 fails, the volume stops\n',
  });
  const params = { namespace: null, name: 'db', universe: 0, servers: ['big-9', 'pi-2'], stale: false };
  expect(asked).toEqual([
    { ...params, seen: null },
    { ...params, seen: 'what it is' },
  ]);
});

test('changes nothing without consent', async () => {
  const asked = await served();
  expect(await run(FORCE)).toMatchObject({ code: 2, err: expect.stringContaining('give --yes') as string });
  expect(asked).toEqual([]);
  const questions: string[] = [];
  const ask = (question: string): Promise<string> => {
    questions.push(question);
    return Promise.resolve('n');
  };
  expect(await run(FORCE, { ask })).toMatchObject({ code: 1, out: '', err: expect.stringContaining('Nothing was changed') as string });
  expect([asked.length, questions]).toEqual([1, ['Make osl:db@0 anew of big-9 (in sync)? [y/N] ']]);
});

test('names what is left of the old mirror, and exits with 1', async () => {
  await served({ left: ['server big-9 may keep its record of the old mirror'] });
  expect(await run(`${FORCE} --yes --stale`)).toMatchObject({
    code: 1,
    err: expect.stringContaining('Left behind: server big-9 may keep its record') as string,
  });
});

test.each([
  ['mirror force db --yes', 'No --servers'],
  ['mirror force db --yes --servers big-9,', '--servers has an empty name'],
])('%s is wrong usage', async (line, message) => {
  await served();
  expect(await run(line)).toMatchObject({ code: 2, err: expect.stringContaining(message) as string });
});

test('mirror list names two mirrors of one name with their ids', async () => {
  const [one, other] = [mirror(), mirror({ mirror: 'f'.repeat(32) })];
  await serve([], { mirrors: () => ({ mirrors: [one, other], gaps: [] }) });
  const { err } = await run('mirror list');
  expect(err).toBe(
    `rsconfig: 2 mirrors are called osl:db@0: ${one.mirror} on big-9 and big-8, and ${other.mirror} on big-9 and big-8: rsconfig mirror remove osl:db@0 --id ID --volumes --force removes the one that is not wanted, with its data\n`,
  );
});
