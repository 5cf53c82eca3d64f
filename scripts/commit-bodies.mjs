// Refuses commits that do not say why: every commit after BASE has the subject `area: what changed`, of at most 100 characters, and a body.
// Merges are excepted. Part of `npm run check`. Invariant: if the commits since BASE are unknown (no git, no checkout, a shallow clone),
// the check refuses nothing and says so.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ROOT } from './prepare.mjs';

/** The last commit before this rule was announced. */
const BASE = '18e4236cb2d98fbe407bc611f88082ee067a6000';
/** Commits after BASE that were made before the check existed. */
const EARLIER = new Set(['d02d8fc2', '81be288d', 'be536904', '0351a6c3', '6dff19fe', 'd9d85517', '53c3d11c']);
const SUBJECT_MAX_CHARS = 100;
const SUBJECT = /^[a-z][\w ,./-]*: \S/;
/** Lines such as Signed-off-by do not count as a body, because they give no reason. */
const TRAILER = /^[A-Z][\w-]+-by: /;
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;

/** Returns what the message of a commit lacks; null: the message lacks nothing. `message`: the whole message. */
export function commitProblem(message) {
  const [subject, ...rest] = message.trim().split('\n');
  if (!SUBJECT.test(subject)) return 'the subject is not `area: what changed`';
  if (subject.length > SUBJECT_MAX_CHARS) return `the subject has ${subject.length} characters, more than ${SUBJECT_MAX_CHARS}`;
  if (rest[0]?.trim()) return 'no blank line follows the subject';
  if (!rest.some((line) => line.trim() !== '' && !TRAILER.test(line))) return 'it has no body: say why, and how it was verified';
  return null;
}

/**
 * Returns the commits after `base` in the checkout `folder` as `{commits: [{hash, message}]}`, or `{unknown}`, the reason why the commits
 * are unknown.
 */
export function commitsAfter(folder, base) {
  const inside = git(folder, ['rev-parse', '--show-prefix']);
  if (inside === null || inside.trim() !== '') return { unknown: 'this folder is no git checkout' };
  if (git(folder, ['merge-base', '--is-ancestor', base, 'HEAD']) === null)
    return { unknown: `this clone lacks commit ${base.slice(0, 8)}` };
  const log = git(folder, ['log', '-z', '--no-merges', '--format=%H%n%B', `${base}..HEAD`]);
  if (log === null) return { unknown: 'git log failed' };
  const commits = log.split('\0').filter((text) => text !== '');
  return { commits: commits.map((text) => ({ hash: text.slice(0, text.indexOf('\n')), message: text.slice(text.indexOf('\n') + 1) })) };
}

/** Returns the stdout of git; null: git has failed, or is not installed. */
function git(folder, args) {
  const { status, stdout } = spawnSync('git', args, { cwd: folder, encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
  return status === 0 ? stdout : null;
}

function main() {
  const { commits = [], unknown } = commitsAfter(ROOT, BASE);
  if (unknown !== undefined) console.log(`commits: not checked, because ${unknown}`);
  for (const { hash, message } of commits) {
    const problem = EARLIER.has(hash.slice(0, 8)) ? null : commitProblem(message);
    if (problem === null) continue;
    console.log(`commit ${hash.slice(0, 8)} (${message.split('\n')[0].slice(0, 60)}): ${problem}`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
