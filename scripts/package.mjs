// `npm run package`: builds the Debian packages, the archive for other systems and, with --images, OCI images into dist/packages.
// `--version V` builds the packages under another version, for tests of upgrades; `--architecture A` builds them for amd64 or arm64;
// `--mirror URL` has Debian's packages for images. scripts/packages/contents.mjs says what each package contains. Invariant: the same commit
// gives the same bytes; files of an earlier build do not remain.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, ROOT } from './prepare.mjs';
import { PRODUCTS } from './packages/contents.mjs';
import { packDeb } from './packages/deb.mjs';
import { ARCHITECTURES, fetchLibrary } from './packages/foreign-library.mjs';
import { IMAGES, missingForImages, packImage } from './packages/image.mjs';
import { stage } from './packages/stage.mjs';
import { packTarball } from './packages/tarball.mjs';

const own = Object.keys(ARCHITECTURES).find((one) => ARCHITECTURES[one] === process.arch) ?? process.arch;

const { values } = parseArgs({
  options: {
    version: { type: 'string' },
    out: { type: 'string' },
    images: { type: 'boolean' },
    architecture: { type: 'string', default: own },
    mirror: { type: 'string' },
  },
});
if (values.architecture !== own && ARCHITECTURES[values.architecture] === undefined) {
  console.error(`package: Unknown architecture ${values.architecture}: give one of ${Object.keys(ARCHITECTURES).join(', ')}`);
  process.exit(2);
}
const missing = values.images === true ? missingForImages() : '';
if (missing !== '') {
  console.error(`package: Images need ${missing}: install it`);
  process.exit(1);
}
prepare();
const out = values.out ?? join(ROOT, 'dist/packages');
const release = {
  version: values.version ?? JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version,
  epoch: Number(process.env.SOURCE_DATE_EPOCH ?? lastCommit()),
  architecture: values.architecture,
};
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const work = mkdtempSync(join(tmpdir(), 'rsio-package-'));
try {
  const all = join(work, 'all');
  const debs = {};
  const binaries = release.architecture === own ? null : fetchLibrary(release.architecture, work);
  for (const [name, product] of Object.entries(PRODUCTS)) {
    const tree = join(work, name);
    const libraries = stage(name, product, release.version, tree, binaries);
    cpSync(tree, all, { recursive: true, errorOnExist: true, force: false });
    debs[name] = packDeb(name, product, release, libraries, tree, out);
    console.log(relative(process.cwd(), debs[name]));
  }
  for (const name of values.images === true ? Object.keys(IMAGES) : []) {
    const needed = [name, ...PRODUCTS[name].beside].map((one) => debs[one]);
    console.log(relative(process.cwd(), packImage(name, release, needed, { work, folder: out, mirror: values.mirror ?? null })));
  }
  console.log(relative(process.cwd(), packTarball(release, all, out)));
} finally {
  rmSync(work, { recursive: true, force: true });
}

function lastCommit() {
  return execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' });
}
