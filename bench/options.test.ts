// Tests which parts, rows and sections the options choose. The measurements are not checked.
// workload.test.ts tests the shape of rows.

import { processesDefault } from '@rsio/common/config/reader/rssrvcfg';
import { HANDLES_PER_SESSION_MAX, PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import { expect, test } from 'vitest';
import { FIGURE_GOALS } from './goals.ts';
import { HELP, optionsOf } from './options.ts';
import { FULL_SECTIONS, PARTS, QUICK_SECTIONS, SECTIONS } from './sections.ts';
import { FILE_BYTES, FULL_PLAN, OLDER_ROUNDS, QUICK_PLAN } from './workload.ts';

function names(...args: string[]): string[] {
  const options = optionsOf(args);
  return [...(options?.plan?.rows ?? []), ...(options?.sections ?? [])].map(({ name }) => name);
}

test('without options all rows and all sections are measured', () => {
  expect(names()).toEqual([...FULL_PLAN.rows, ...SECTIONS].map(({ name }) => name));
});

test('an older build is measured in turn with this one, in many short rounds, and without files that leave the cache', () => {
  const plan = optionsOf(['--older', '/x'])?.plan;
  expect(plan).toMatchObject(OLDER_ROUNDS);
  expect(plan?.rows.map(({ name }) => name)).toEqual(FULL_PLAN.rows.filter(({ isCached }) => isCached).map(({ name }) => name));
  expect(new Set(plan?.rows.map(({ servers }) => servers.join()))).toEqual(new Set(['rssrv,rssrv-older']));
});

test('each part can be chosen alone, and is in the help', () => {
  for (const part of PARTS) {
    expect(HELP).toContain(`--${part} `);
    const expected = part === 'server' ? FULL_PLAN.rows : SECTIONS.filter((section) => section.part === part);
    expect(names(`--${part}`), part).toEqual(expected.map(({ name }) => name));
  }
  expect(names('--scale', '--garbage')).toEqual(['clients', 'restart', 'volumes', 'paths', 'metrics', 'limits', 'garbage']);
  expect(names('--mirrors', '--farm')).toEqual(['mirrors', 'farm']);
});

/** Sections that take minutes. */
const LONG: ReadonlySet<string> = new Set(['mirrors', 'limits', 'farm']);

test('a part of a name chooses in all parts; a whole name chooses only that one', () => {
  expect(names('--only', 'read-8k-d128')).toEqual(['read-8k-d128']);
  expect(names('--only', 'links')).toEqual(['links']);
  expect(names('--only', 'end')).toEqual(['end-to-end']);
  expect(() => names('--only', 'no-such-row')).toThrow('No row or section has "no-such-row" in its name');
  expect(() => names('--client', '--only', 'read-8k-d128')).toThrow('No row or section has');
});

test('the quick run has every goal, except those of sections that take minutes', () => {
  const quick = names('--quick');
  expect(quick.slice(0, QUICK_PLAN.rows.length)).toEqual(QUICK_PLAN.rows.map(({ name }) => name));
  for (const { section } of Object.values(FIGURE_GOALS).filter((one) => !LONG.has(one.section))) expect(quick).toContain(section);
});

test('the log is measured alone', () => {
  expect(optionsOf(['--log'])).toMatchObject({ plan: null, sections: [] });
  expect(() => optionsOf(['--log', '--client'])).toThrow('--log stands alone');
  expect(() => optionsOf(['--log', '--quick'])).toThrow('--log stands alone');
});

test.each([FULL_SECTIONS, QUICK_SECTIONS])('no section asks for more than a server grants', ({ clients, volumes, paths, returning }) => {
  for (const count of volumes) {
    expect(count).toBeLessThanOrEqual(HANDLES_PER_SESSION_MAX);
    expect(FILE_BYTES % (count * 64 * 1024)).toBe(0);
  }
  for (const count of paths) expect(count).toBeLessThanOrEqual(PATHS_PER_TRUNK_MAX);
  // There are goals for clients with a worker each, for clients that share workers, and for a thousand clients.
  expect(clients.some((count) => count <= processesDefault()) && clients.some((count) => count > processesDefault())).toBe(true);
  expect(returning).toBe(1_000);
});
