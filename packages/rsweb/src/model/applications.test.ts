// Tests which of several reports of an application are shown on pages, and the findings about applications with their remedies.
// sources/bad-sources.test.ts tests which reports of applications count if the source is hostile.

import { describe, expect, test } from 'vitest';
import { SAMPLE_MS, samplePicture } from '../testing/sample-picture.ts';
import { applicationFindings, shownApplications } from './applications.ts';
import type { Application, Picture } from './picture.ts';

const sample = samplePicture();

function app(reporter: string, more: Partial<Application> = {}): Application {
  return {
    id: `${reporter}:pg`,
    name: 'pg',
    reporter,
    isDrained: false,
    state: 'running',
    on: 'a',
    sinceMs: SAMPLE_MS,
    volumes: ['db'],
    nodes: ['a', 'b', 'c'],
    next: 'b',
    why: '',
    failed: false,
    remains: false,
    ...more,
  };
}

/** The client `local` is that of this machine. */
function pictureOf(applications: readonly Application[], local = 'none'): Picture {
  return { ...sample, clients: sample.clients.slice(0, 1).map((one) => ({ ...one, id: local, machine: 'atlas' })), applications };
}

describe('an application that several nodes report', () => {
  const shown = (applications: readonly Application[], local?: string): string[] =>
    shownApplications(pictureOf(applications, local)).map(({ reporter, state }) => `${reporter} ${state}`);

  test('is shown once, as its holder sees it', () => {
    expect(shown([app('b', { state: 'waiting' }), app('a'), app('c')])).toEqual(['a running']);
    expect(shown([app('b'), app('c')], 'c'), 'its holder is no source').toEqual(['c running']);
    expect(shown([app('b'), app('a', { name: 'web' }), app('a', { nodes: ['d'], on: 'x' })]), 'three are others').toHaveLength(3);
  });

  test('and that none holds is shown as somebody sees it who knows', () => {
    const waits = { state: 'waiting', on: null } as const;
    expect(shown([app('a', { state: 'unknown', on: null }), app('b', waits)])).toEqual(['b waiting']);
    expect(shown([app('a', waits), app('b', { state: 'starting', on: null })])).toEqual(['b starting']);
    expect(shown([app('a', { state: 'unknown', on: null })])).toEqual(['a unknown']);
  });

  test('and that two nodes say they hold is shown for both, and the view of this machine is not hidden', () => {
    expect(shown([app('a'), app('b', { on: 'b' })])).toEqual(['a running', 'b running']);
    expect(shown([app('b', { on: 'b' }), app('c', { state: 'waiting', on: null })], 'c')).toEqual(['b running', 'c waiting']);
    expect(shown([app('b', { on: 'b' }), app('c', { state: 'unknown', on: null })], 'c')).toEqual(['b running']);
  });
});

describe('findings', () => {
  const whats = (...applications: Application[]): string[] =>
    applicationFindings(pictureOf(applications))
      .flat()
      .map(({ severity, what, remedy }) => {
        expect(remedy).toMatch(/\w/);
        return `${severity}: ${what}`;
      });

  test('a good application, and one that a person has ended, have none', () => {
    expect(whats(app('a'), app('b'), app('c'))).toEqual([]);
    for (const state of ['stopped', 'disabled', 'new', 'starting', 'stopping'] as const)
      expect(whats(app('a', { state, on: null }))).toEqual([]);
  });

  test.each<[Partial<Application>, string]>([
    [{ state: 'waiting', on: null, why: 'x: y' }, 'error: Application pg is wanted, and runs nowhere (x: y)'],
    [{ state: 'unknown', on: null }, 'error: It is not known whether application pg runs'],
    [
      { state: 'stopped', on: null, failed: true, why: 'It failed on all nodes: x' },
      'error: Application pg is stopped (It failed on all nodes: x)',
    ],
    [{ next: null }, 'warning: No other node could take application pg over now'],
    [{ isDrained: true }, 'warning: Node a is drained, and takes no application'],
  ])('%j', (more, what) => {
    expect(whats(app('a', more))).toEqual([what]);
  });

  test('what cannot be removed is told of each node, also while the application runs elsewhere', () => {
    const left = { remains: true, why: '/m is in use by 7' };
    expect(whats(app('a'), app('b', left))).toEqual(['error: Application pg cannot be removed from node b (/m is in use by 7)']);
  });
});
