// Tests the findings about applications: rsapp is away, the node is drained, an application does not run, and systemd or rsiod start what
// rsapp is to start.

import { expect, test } from 'vitest';
import type { ApplicationView } from '@rsio/api/rsapp/app-methods';
import { doctorFacts, fileFacts, SAMPLE } from '../../testing/facts.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import { checkApplications } from './applications.ts';

const VIEW: ApplicationView = {
  name: 'pg',
  state: 'running',
  on: 'big-2',
  sinceMs: 0,
  volumes: ['db'],
  nodes: ['big-2', 'big-6'],
  next: 'big-6',
  why: '',
  failed: false,
  remains: false,
};

function found(changes: Partial<DoctorFacts['applications']> = {}, text = SAMPLE, more = ''): string[] {
  const file = fileFacts(`${text}\n[application pg]\nvolumes = db\nservice = pg.service\nnodes = big-2, big-6\n${more}`);
  expect(file.problems).toEqual([]);
  const answer = { node: 'big-2', drained: false, applications: [VIEW] };
  const findings = checkApplications(doctorFacts({ file, applications: { answer, enabledUnits: [], ...changes } }));
  expect(findings.every(({ severity, remedy }) => severity === 'ok' || remedy !== null)).toBe(true);
  return findings.map(({ severity, object, what }) => `${severity}: ${object}: ${what}`);
}

function seenAs(view: Partial<ApplicationView>, drained = false): string[] {
  return found({ answer: { node: 'big-2', drained, applications: [{ ...VIEW, ...view }] } });
}

test('no application, and a good one', () => {
  expect(checkApplications(doctorFacts())).toEqual([]);
  expect(found()).toEqual(['ok: application pg: It runs on big-2, and big-6 is next']);
});

test('rsapp does not answer, or does not know the application, or the node is drained', () => {
  expect(found({ answer: null })).toEqual(['error: rsapp: It does not answer: this node takes no application over, and moves none away']);
  expect(found({ answer: { node: 'big-2', drained: false, applications: [] } })).toEqual([
    'warning: application pg: rsapp does not know it',
  ]);
  expect(seenAs({}, true)).toEqual([
    'warning: rsapp: This node is drained, and takes no application',
    'ok: application pg: It runs on big-2, and big-6 is next',
  ]);
});

test('an application that does not run, or that no other node could take', () => {
  const why = 'db is held by big-7 now';
  expect(seenAs({ state: 'waiting', on: null, why })).toEqual([`error: application pg: It is wanted, and does not run: ${why}`]);
  expect(seenAs({ state: 'unknown', on: null })).toEqual(['error: application pg: It is not known whether it runs']);
  expect(seenAs({ state: 'stopped', failed: true, why: 'It failed on all nodes: x' })).toEqual([
    'error: application pg: It failed on all nodes: x',
  ]);
  expect(seenAs({ state: 'stopped', why: '/m is in use', remains: true })).toEqual([
    'error: application pg: It cannot be removed from this node: /m is in use',
  ]);
  expect(seenAs({ next: null })).toEqual(['warning: application pg: No other node could take it over now']);
  expect(seenAs({ state: 'disabled', on: null })).toEqual(['ok: application pg: It is disabled']);
});

test('systemd starts the unit, and rsiod attaches the volume', () => {
  expect(found({ enabledUnits: ['pg.service'] })).toEqual([
    'error: application pg: systemd starts pg.service at each boot, also on a node that does not have its volumes',
  ]);
  const text = SAMPLE.replace('[namespace osl]', '[namespace osl]\nattach = all');
  expect(found({}, text)).toEqual([
    'warning: application pg: rsiod attaches db at each boot, so that the first node that boots runs it, whatever nodes says',
  ]);
});
