// Tests the pages of applications with keys only: what they show, which orders rsapp gets, and the form that adds an application to the
// file. rsapp is scripted (testing/walker.ts). The package rsapp tests what orders do.

import type { ApplicationView } from '@rsio/api/rsapp/app-methods';
import { RsError } from '@rsio/base/lib/errors';
import { SAMPLE_RSCLTCFG } from '@rsio/common/testing/sample-rscltcfg';
import { expect, test } from 'vitest';
import { Walker } from '../testing/walker.ts';

const SECTION = '\n[application pg]\nvolumes       = db\nservice       = pg.service\nnodes         = big-2, big-6, big-7\n';

function view(change: Partial<ApplicationView> = {}): ApplicationView {
  return {
    name: 'pg',
    state: 'running',
    on: 'big-2',
    sinceMs: 0,
    volumes: ['db', 'wal'],
    nodes: ['big-2', 'big-6', 'big-7'],
    next: 'big-6',
    why: '',
    failed: false,
    remains: false,
    ...change,
  };
}

async function opened(applications: readonly ApplicationView[] | null, drained = false, file = SAMPLE_RSCLTCFG + SECTION): Promise<Walker> {
  const answer = (): never => ({ application: applications?.[0], applications, drained, node: 'big-2' }) as never;
  const apps =
    applications === null ? null : { applications: answer, 'app-order': answer, drain: answer, reload: () => ({ applied: ['x'] }) };
  const walker = new Walker({ file, daemon: { reload: () => ({ applied: [] }) }, apps });
  await walker.choose('Applications');
  return walker;
}

const ordersIn = ({ appCalls }: Walker): unknown[] =>
  appCalls.filter(({ method }) => method !== 'applications').map(({ params }) => params);

test('each application has a line, and one that needs attention a sign and its reason', async () => {
  const lost = view({ name: 'mail', state: 'waiting', on: null, next: null, why: 'Nodes before this one have their turn' });
  const screen = (await opened([view(), lost, view({ name: 'web', state: 'stopped', on: null })])).screen();
  expect(screen).toContain('Applications, seen by node big-2');
  expect(screen).toMatch(/> \+ {2}pg +running +big-2 +\S+ +big-6/);
  expect(screen).toMatch(/! {2}mail +waiting +- +\S+ +-\s*\|\n\| +Nodes before this one have their turn/);
  expect(screen).toMatch(/\+ {2}web +stopped +-/);
  expect((await opened([view({ state: 'stopped', on: null, failed: true, why: 'It failed on all nodes: x' })])).screen()).toMatch(
    /! {2}pg +stopped/,
  );
});

test('without rsapp the page says how to start it, and lists the sections of the file', async () => {
  const walker = await opened(null);
  expect(walker.words()).toContain('! rsapp is not running on this machine');
  expect(walker.screen()).toContain('systemctl enable --now rsapp');
  await walker.choose('pg');
  expect(walker.screen()).not.toContain('Start on this node');
  await walker.choose('Remove it from the file', 'Remove');
  expect(walker.screen()).toContain('No application: F7 adds one');
});

test('an application that is here is stopped, disabled and moved after a question', async () => {
  const walker = await opened([view()]);
  await walker.choose('pg');
  expect(walker.screen()).toContain('Volumes  db wal');
  expect(walker.screen()).not.toContain('Start on this node');
  for (const [label, answer] of [
    ['Stop', 'Stop pg'],
    ['Disable', 'Disable pg'],
    ['Move to', 'Move it to big-7'],
  ] as const) {
    await walker.choose(label);
    await walker.press('enter');
    await walker.choose(label, answer);
  }
  const [stop, disable, move] = [
    ['stop', null],
    ['disable', null],
    ['move', 'big-7'],
  ].map(([order, to]) => ({ name: 'pg', order, to }));
  expect(ordersIn(walker)).toEqual([stop, disable, move]);
  expect(walker.words()).toContain('pg has moved to big-2');
});

test('one that no node has is started here, and a refusal is shown', async () => {
  const walker = await opened([view({ state: 'new', on: null })]);
  await walker.choose('pg');
  expect(walker.screen()).not.toContain('Stop');
  walker.world.apps!['app-order'] = () => {
    throw new RsError('E_HELD', 'Node big-6 has pg: give the order there');
  };
  await walker.choose('Start on this node');
  expect(ordersIn(walker)).toEqual([{ name: 'pg', order: 'start', to: null }]);
  expect(walker.question()).toBe('Node big-6 has pg: give the order there [E_HELD]');
});

test('one that another node has takes no orders here, and one that is disabled is only enabled', async () => {
  const away = await opened([view({ on: 'big-6' })]);
  await away.choose('pg');
  expect(away.screen()).toContain('Node big-6 has it: give orders there');
  expect(away.screen()).not.toMatch(/Stop|Start|Disable/);
  const disabled = await opened([view({ state: 'disabled', on: null })]);
  await disabled.choose('pg');
  await disabled.choose('Enable');
  expect(ordersIn(disabled)).toEqual([{ name: 'pg', order: 'enable', to: null }]);
});

test('a node is drained after a question, and the drain ends', async () => {
  const walker = await opened([view()]);
  await walker.press('action');
  await walker.choose('Drain this node', 'Drain this node');
  const drained = await opened([view()], true);
  expect(drained.screen()).toContain('! This node is drained');
  await drained.press('action');
  await drained.choose('End the drain');
  expect([...ordersIn(walker), ...ordersIn(drained)]).toEqual([{ end: false }, { end: true }]);
});

test('the form adds a section, which rsapp reads after the save; what is missing or does not fit is named', async () => {
  const walker = await opened([], false, SAMPLE_RSCLTCFG);
  await walker.press('action');
  await walker.choose('Add application');
  await walker.press({ text: 'pg' }, 'enter', { text: 'db' }, 'action');
  await walker.choose('Apply');
  expect(walker.words()).toContain('Missing nodes');
  await walker.press({ text: 'big-2, big-6, big-7' }, 'action');
  await walker.choose('Apply');
  expect(walker.words()).toContain('neither service nor start: add one of them');
  await walker.press('up', 'up', 'up', 'up', 'up', { text: 'pg.service' }, 'action');
  await walker.choose('Apply');
  expect(walker.words()).toContain('add it on its other nodes, then start it once');
  await walker.press('save');
  expect(walker.world.file).toBe(SAMPLE_RSCLTCFG + SECTION);
  expect(walker.words()).toContain('rsapp: 1 change');
});

test('one that is here is not removed, and a refusal of rsapp to read the file is shown', async () => {
  const walker = await opened([view()]);
  await walker.press('remove');
  expect(walker.question()).toContain('pg is on this node: rsconfig app stop pg');
  await walker.press('enter');
  await walker.choose('pg', 'Change its section');
  await walker.press('enter', 'enter', 'cut-before', { text: '/srv/pg' }, 'action');
  await walker.choose('Apply');
  walker.world.apps!.reload = () => {
    throw new RsError('E_IN_USE', 'Application pg is on this node');
  };
  await walker.press('save');
  expect(walker.question()).toContain('but rsapp did not apply it: Application pg is on this node [E_IN_USE]');
});
