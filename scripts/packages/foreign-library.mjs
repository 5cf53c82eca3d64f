// Fetches koffi's compiled library for another architecture with npm, so that the packages can be built on any machine. Invariant: the
// version and the checksum are those of pnpm-lock.yaml, as with all libraries of the product.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../prepare.mjs';

/** Names of processors in Debian and in Node. */
export const ARCHITECTURES = { amd64: 'x64', arm64: 'arm64' };

/** Returns the version and the checksum of a library for this processor. `lock`: text of pnpm-lock.yaml. Throws if the lock lacks it. */
export function lockedLibrary(lock, name) {
  const [, version, integrity] = new RegExp(`^  '${name}@([\\d.]+)':\\n    resolution: \\{integrity: (\\S+)\\}`, 'm').exec(lock) ?? [];
  if (integrity === undefined) throw new Error(`pnpm-lock.yaml has no ${name}: RSIO cannot be packed for this architecture`);
  return { version, integrity };
}

/** Returns a folder that is laid out like node_modules/@koromix. `work`: an existing folder. */
export function fetchLibrary(architecture, work) {
  const short = `koffi-linux-${ARCHITECTURES[architecture]}`;
  const name = `@koromix/${short}`;
  const { version, integrity } = lockedLibrary(readFileSync(join(ROOT, 'pnpm-lock.yaml'), 'utf8'), name);
  const said = execFileSync('npm', ['pack', `${name}@${version}`, '--json', '--pack-destination', work], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [packed] = JSON.parse(said);
  if (packed.integrity !== integrity) throw new Error(`${name}@${version} has another checksum than pnpm-lock.yaml: ${packed.integrity}`);
  const folder = join(work, 'libraries');
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', join(work, packed.filename), '-C', work]);
  renameSync(join(work, 'package'), join(folder, short));
  return folder;
}
