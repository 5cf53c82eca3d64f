// Tests that a commit without a body, or with a subject that is too long or names no area, is refused; that only commits after the base
// count; and that nothing is refused where the base is unknown.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commitProblem, commitsAfter } from './commit-bodies.mjs';
import { ROOT } from './prepare.mjs';

const { needPrograms } = await import(join(ROOT, 'packages/common/src/testing/needs.ts'));

const BODY = '\n\nBecause a reader asks why.\n';

test.each([
  [`rssrv: a write waits${BODY}`, null],
  [`rsadm, rsconfig: a command${BODY}`, null],
  ['rssrv: a write waits', 'it has no body'],
  ['rssrv: a write waits\n\nSigned-off-by: A <a@example>\n', 'it has no body'],
  ['rssrv: a write waits\nand more', 'no blank line'],
  [`a write waits${BODY}`, 'the subject is not'],
  [`rssrv: ${'x'.repeat(93)}${BODY}`, null],
  [`rssrv: ${'x'.repeat(94)}${BODY}`, 'the subject has 101 characters'],
])('%j', (message, problem) => {
  if (problem === null) expect(commitProblem(message)).toBe(null);
  else expect(commitProblem(message)).toContain(problem);
});

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-commits-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the commits after the base are found, merges are not; without a checkout or the base, a word says so', (context) => {
  needPrograms(context, 'git');
  const outside = commitsAfter(folder, 'HEAD');
  expect(outside.unknown).toMatch(/no git checkout|lacks commit/);
  const git = (...args) =>
    execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@example', '-c', 'commit.gpgsign=false', ...args], {
      cwd: folder,
      encoding: 'utf8',
    });
  const commit = (message) => git('commit', '-q', '--allow-empty', '-m', message);
  git('init', '-q', '-b', 'main');
  commit('base');
  const base = git('rev-parse', 'HEAD').trim();
  git('checkout', '-q', '-b', 'side');
  commit(`side: one${BODY}`);
  git('checkout', '-q', 'main');
  commit('main: two');
  git('merge', '-q', '--no-ff', '-m', 'a merge', 'side');
  const { commits } = commitsAfter(folder, base);
  expect(new Set(commits.map(({ message }) => commitProblem(message)?.slice(0, 14) ?? null))).toEqual(new Set(['it has no body', null]));
  expect(commits).toHaveLength(2);
  expect(commitsAfter(folder, '1'.repeat(40)).unknown).toBe('this clone lacks commit 11111111');
});
