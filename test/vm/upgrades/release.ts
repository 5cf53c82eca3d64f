// The packages of an earlier release, built from the history of the repository with the lock file of its commit: of a given commit, or of the
// last release, which CHANGELOG.md names, and whose commit is the first one that has this heading. Invariant: the checkout and its history
// stay as they are; the packages of a commit are built once.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from '../play.ts';
import type { Programs } from './in-place/site.ts';

const BUILD_MS = 1_200_000;

export interface Release {
  readonly version: string;
  readonly commit: string;
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

/** Returns the release of a commit, or the last release; or a text that says why it cannot be built here. */
export function releaseFrom(from: string | null): Release | string {
  const version = /^## \[(\d+\.\d+\.\d+)\]/m.exec(readFileSync(path.join(ROOT, 'CHANGELOG.md'), 'utf8'))?.[1];
  if (version === undefined) return 'CHANGELOG.md names no release';
  const what = from === null ? `the commit of release ${version}` : `commit ${from}`;
  try {
    if (git('rev-parse', '--is-shallow-repository') === 'true') return `this clone is shallow, and may lack ${what}: git fetch --unshallow`;
    const [commit] = from === null ? git('log', '--reverse', '--format=%H', `-S## [${version}]`, '--', 'CHANGELOG.md').split('\n') : [from];
    const hash = git('rev-parse', '--verify', '--quiet', `${commit || 'none'}^{commit}`);
    return { version: (JSON.parse(git('show', `${hash}:package.json`)) as { version: string }).version, commit: hash };
  } catch {
    return `this repository lacks ${what}`;
  }
}

/** The version after `version` by `steps` steps. */
export function later(version: string, steps: number): string {
  const [major, minor, patch = '0'] = version.split('.');
  return `${major}.${minor}.${Number(patch) + steps}`;
}

/** Builds the packages of a release below `folder`, and returns their folder. */
export function packagesOf({ version, commit }: Release, folder: string): string {
  const made = path.join(folder, `packages-${version}-${commit.slice(0, 12)}`);
  if (existsSync(made)) return made;
  const work = mkdtempSync(path.join(tmpdir(), 'rsio-release-'));
  try {
    execFileSync('sh', ['-c', 'git archive "$1" | tar -x -C "$2"', 'sh', commit, work], { cwd: ROOT });
    const env = { ...process.env, SOURCE_DATE_EPOCH: git('log', '-1', '--format=%ct', commit) };
    for (const script of ['build', 'package'])
      execFileSync('npm', ['run', script], { cwd: work, env, stdio: ['ignore', 'ignore', 'inherit'], timeout: BUILD_MS });
    mkdirSync(folder, { recursive: true });
    cpSync(path.join(work, 'dist/packages'), `${made}.new`, { recursive: true });
    renameSync(`${made}.new`, made);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return made;
}

/** Unpacks the programs of the archive for other systems, which is beside the packages. */
export function unpacked(packages: string, name: string, folder: string): Programs {
  const archive = readdirSync(packages).find((one) => one.endsWith('.tar.gz'));
  if (archive === undefined) throw new Error(`${packages} has no archive`);
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', path.join(packages, archive), '-C', folder]);
  return { name, folder };
}

/** Copies packages, and gives the copies another version. The programs in them keep theirs. */
export function reversioned(from: string, version: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const script =
    'dpkg-deb -R "$1" "$2/tree"; sed -i "s/^Version: .*/Version: $3/" "$2/tree/DEBIAN/control"; dpkg-deb -b "$2/tree" "$2"; rm -r "$2/tree"';
  for (const name of readdirSync(from).filter((one) => one.endsWith('.deb')))
    execFileSync('sh', ['-ec', script, 'sh', path.join(from, name), folder, version], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Builds the packages of this checkout under another version. */
export function packagesAs(version: string, folder: string): void {
  execFileSync(process.execPath, [path.join(ROOT, 'scripts/package.mjs'), '--version', version, '--out', folder], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: BUILD_MS,
  });
}
