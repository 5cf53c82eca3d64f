// `npm run appliance`: makes the image of the appliance and the file for upgrades in dist/appliance. `--version V` names another version, for
// tests of upgrades; `--mirror URL` has Debian's packages; `--out FOLDER` is another place. Invariant: the image contains the packages of this
// checkout and no password.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { makeDisk } from './appliance/disk.mjs';
import { makeSystem } from './appliance/system.mjs';
import { ROOT } from './prepare.mjs';

/** Programs of this machine, and their Debian packages. */
const NEEDED = {
  mmdebstrap: 'mmdebstrap',
  sqfstar: 'squashfs-tools',
  sfdisk: 'fdisk',
  mcopy: 'mtools',
  'mkfs.vfat': 'dosfstools',
  mke2fs: 'e2fsprogs',
  'grub-mkimage': 'grub-common, grub-pc-bin and grub-efi-amd64-bin',
};

const { values } = parseArgs({
  options: {
    version: { type: 'string', default: JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version },
    mirror: { type: 'string', default: 'http://deb.debian.org/debian' },
    out: { type: 'string', default: join(ROOT, 'dist/appliance') },
  },
});
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const missing = Object.keys(NEEDED).filter(
  (one) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', one], { stdio: 'ignore' }).status !== 0,
);
if (missing.length > 0) {
  console.error(`appliance: This machine has no ${missing.map((one) => `${one} (package ${NEEDED[one]})`).join(', ')}: install it`);
  process.exit(1);
}
const work = mkdtempSync(join(tmpdir(), 'rsio-appliance-'));
try {
  const { version, mirror, out } = values;
  const packages = join(work, 'packages');
  execFileSync(process.execPath, [join(ROOT, 'scripts/package.mjs'), '--out', packages, '--version', version, '--architecture', 'amd64']);
  const debs = readdirSync(packages).filter((name) => /^rsio-(common|server)_.*\.deb$/.test(name));
  const files = join(ROOT, 'packaging/appliance');
  const system = join(work, 'system');
  await makeSystem(system, { debs: debs.map((name) => join(packages, name)), files, version, mirror, work });
  const disk = join(work, 'disk.img');
  makeDisk(disk, { system, grubConfig: join(files, 'grub.cfg'), work });
  mkdirSync(out, { recursive: true });
  for (const [ending, made] of Object.entries({ img: disk, upgrade: system })) {
    const file = join(out, `rsio-appliance_${version}_amd64.${ending}`);
    // `cp` keeps holes, and the folder may be on another file system.
    execFileSync('cp', ['--sparse=always', made, `${file}.new`]);
    renameSync(`${file}.new`, file);
    console.log(relative(process.cwd(), file));
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
