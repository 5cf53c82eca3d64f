// Tests the pages of work in progress, of replications and of snapshots with the keyboard alone: what they show, the orders that they give,
// and that an order about a snapshot goes to the one that was seen.

import { job, pool, replication, snapshot, volume } from '@rsio/api/testing/server-views';
import { JOB_WORKS } from '@rsio/api/views/views';
import { expect, test } from 'vitest';
import { answers, ServerWalker } from '../testing/server-walker.ts';

const GIB = 1024 ** 3;
const known = { 'pool-list': () => ({ pools: [pool()] }), 'volume-list': () => ({ volumes: [volume()], removed: [] }) };

test('jobs and replications that copy are listed with a bar, and a job is limited and cancelled', async () => {
  const jobs = [
    job({ bytesPerSecond: GIB }),
    job({ id: '8', kind: 'copy', state: 'waiting' }),
    job({ id: '6', state: 'done', endedMs: 1 }),
  ];
  const replications = [replication({ state: 'copying', doneBytes: GIB, totalBytes: 4 * GIB })];
  const walker = await ServerWalker.start({
    daemon: answers({
      ...known,
      'job-list': () => ({ jobs }),
      'replication-list': () => ({ replications }),
      'job-limit': () => ({ job: job() }),
      'job-cancel': () => ({ job: job() }),
    }),
  });
  expect(walker.screen()).toMatch(/Work in progress +3 works, 1 waiting/);
  await walker.choose('Work in progress');
  expect(walker.screen()).toMatch(/\+ move +oracle@0 +\[#####\.{5}\] {2}50% +10 s +from fast to slow/);
  expect(walker.screen()).toMatch(/! copy +oracle@0 .* waits for its turn/);
  expect(walker.screen()).toMatch(/\+ replication +oracle@0 +\[###\.{7}\] {2}25%/);
  await walker.press('enter');
  expect(walker.words()).toMatch(/move of oracle@0 .*job 7, from fast to slow .*10\.0G of 20\.0G, 1\.0G\/s, 10 s left/);
  await walker.choose('Limit its rate');
  await walker.press({ text: '100m' }, 'save');
  expect(walker.calls.at(-1)).toEqual({ method: 'job-limit', params: { id: '7', limitBytes: 100 * 1024 ** 2, request: 'id-1' } });
  await walker.choose('Cancel');
  expect(walker.question()).toContain('What it has done is undone');
  await walker.press('down', 'enter');
  expect(walker.calls.at(-1)).toEqual({ method: 'job-cancel', params: { id: '7', request: 'id-2' } });
});

test.each(JOB_WORKS)('a job that does %s is listed with its bar', async (work) => {
  const walker = await ServerWalker.start({ daemon: answers({ ...known, 'job-list': () => ({ jobs: [job({ work })] }) }) });
  await walker.choose('Work in progress');
  expect(walker.screen()).toMatch(new RegExp(`\\+ ${work} +oracle@0 +\\[#####\\.{5}\\] {2}50%`));
});

test('a replication that fails says why, and names the commands', async () => {
  const replications = [replication({ direction: 'in', state: 'failing', text: 'no path to big-8' })];
  const walker = await ServerWalker.start({ daemon: answers({ ...known, 'replication-list': () => ({ replications }) }) });
  await walker.choose('Replications');
  expect(walker.screen()).toMatch(/! oracle@0 +from big-8 +failing +12s +5m +no path/);
  await walker.press('enter');
  expect(walker.words()).toMatch(/! state: failing: no path to big-8 .*rsadm volume promote oracle@0/);
});

test('snapshots are made, cloned, removed and rolled back to, and another one of the name is not touched', async () => {
  let id = 's-1';
  const daemon = answers({
    ...known,
    'volume-show': () => ({ volume: volume(), snapshots: [snapshot({ id, snapshot: 'monday' })] }),
    'volume-snapshot': () => ({ snapshots: [] }),
    'volume-clone': () => ({ volume: volume({ name: 'test' }) }),
    'volume-rollback': () => ({ volume: volume(), kept: snapshot({ snapshot: 'before-rollback-1' }) }),
    'volume-snapshot-remove': () => ({ volume: volume() }),
  });
  const walker = await ServerWalker.start({ daemon });
  await walker.choose('Volumes');
  await walker.press('enter');
  await walker.choose('Snapshots');
  expect(walker.screen()).toMatch(/monday +\d{4}/);
  await walker.choose('Make a snapshot');
  await walker.press({ text: '7' }, 'save');
  expect(walker.words()).toContain('not only digits');
  await walker.press({ text: 'b' }, 'save');
  expect(walker.calls.at(-1)).toMatchObject({ method: 'volume-snapshot', params: { snapshots: [{ name: 'oracle', snapshot: '7b' }] } });
  await walker.choose('monday');
  await walker.choose('Make a volume of it');
  await walker.press({ text: 'test' }, 'save');
  expect(walker.calls.at(-1)).toMatchObject({ method: 'volume-clone', params: { snapshot: 'monday', newName: 'test', newUniverse: 0 } });
  await walker.choose('Roll the volume back to it');
  expect(walker.question()).toContain('before-rollback');
  id = 's-2';
  await walker.press('down', 'enter');
  expect(walker.question()).toContain('Snapshot monday is another one now');
  expect(walker.calls.at(-1)?.method).toBe('volume-clone');
  await walker.press('enter');
  expect(walker.words()).toContain('This snapshot does not exist any more');
  await walker.press('escape');
  await walker.choose('monday');
  await walker.choose('Remove');
  await walker.press('down', 'enter');
  expect(walker.calls.at(-1)).toMatchObject({ method: 'volume-snapshot-remove', params: { snapshot: 'monday', onlyId: 's-2' } });
  expect(walker.screen()).toContain('Snapshots of oracle@0');
});
