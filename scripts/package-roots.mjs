// `npm run package-roots`: tests the packages in a clean Debian root, as root, in separate namespaces. Builds the packages as version 0.1.0
// and as the version of this commit, makes the root with mmdebstrap, and runs test/packaging/roots/walk.sh in this root. `--suite NAME`
// (default trixie), `--mirror URL`, `--old FOLDER` (packages of an older commit), `--keep`. Invariant: mounts and processes end with their
// namespaces, and the root is removed.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './prepare.mjs';

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'trixie' },
    mirror: { type: 'string', default: 'http://deb.debian.org/debian' },
    old: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const INCLUDED = 'nodejs,perl,iproute2,adduser,fio,procps,util-linux,mount';
/** Mounts a separate /dev, in which rsiod makes its devices, so that the devices of the machine are not touched. */
const INSIDE = `
set -e
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0' 'fuse 10 229' 'loop-control 10 237'; do
  set -- "$1" $node
  mknod -m 666 "$1/dev/$2" c "$3" "$4"
done
for number in $(seq 0 63); do mknod -m 660 "$1/dev/loop$number" b 7 "$number"; done
mkdir "$1/dev/shm" "$1/dev/pts"
mount -t tmpfs tmpfs "$1/dev/shm"
mount -t devpts devpts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
ln -s /proc/self/fd "$1/dev/fd"
exec env -i HOME=/root PATH="$PATH" LANG=C.UTF-8 chroot "$1" /bin/bash /packages/walk.sh
`;

if (process.getuid() !== 0) stop('It needs root, because it makes namespaces and mounts');
for (const program of ['mmdebstrap', 'unshare', 'dpkg-deb']) if (!isThere(program)) stop(`It needs ${program}`);
const work = mkdtempSync(join(tmpdir(), 'rsio-root-'));
const root = join(work, 'root');
try {
  const packages = join(work, 'packages');
  mkdirSync(packages);
  if (values.old === undefined)
    well(process.execPath, [join(ROOT, 'scripts/package.mjs'), '--version', '0.1.0', '--out', join(packages, 'old')]);
  else cpSync(values.old, join(packages, 'old'), { recursive: true });
  well(process.execPath, [join(ROOT, 'scripts/package.mjs'), '--out', join(packages, 'new')]);
  console.log(`package-roots: makes a root of ${values.suite}`);
  well('mmdebstrap', ['--quiet', '--variant=apt', `--include=${INCLUDED}`, values.suite, root, values.mirror]);
  cpSync(packages, join(root, 'packages'), { recursive: true });
  cpSync(join(ROOT, 'test/packaging/roots/walk.sh'), join(root, 'packages/walk.sh'));
  console.log(`package-roots: ${readdirSync(join(packages, 'old')).join(' ')} -> ${readdirSync(join(packages, 'new')).join(' ')}`);
  well('unshare', ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', '--kill-child', 'bash', '-c', INSIDE, 'bash', root]);
} finally {
  if (values.keep) console.log(`package-roots: the root stays in ${root}`);
  else rmSync(work, { recursive: true, force: true });
}

function well(program, args) {
  const { status, signal } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status === 0) return;
  process.exitCode = 1;
  throw new Error(`${program} ended with ${signal ?? `code ${status}`}`);
}

function isThere(program) {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' }).status === 0;
}

function stop(sentence) {
  console.error(`package-roots: ${sentence}`);
  process.exit(1);
}
