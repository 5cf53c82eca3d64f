// `npm run package`: builds the Debian packages, the archive for other systems and, with --images, OCI images into dist/packages.
// `--version V` builds the packages under another version, for tests of upgrades. scripts/packages/contents.mjs says what each package
// contains. Invariant: the same commit gives the same bytes; files of an earlier build do not remain.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, ROOT } from './prepare.mjs';
import { PRODUCTS } from './packages/contents.mjs';
import { packDeb } from './packages/deb.mjs';
import { IMAGES, missingForImages, packImage } from './packages/image.mjs';
import { stage } from './packages/stage.mjs';
import { packTarball } from './packages/tarball.mjs';

const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

const { values } = parseArgs({ options: { version: { type: 'string' }, out: { type: 'string' }, images: { type: 'boolean' } } });
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
  architecture: ARCHITECTURES[process.arch] ?? process.arch,
};
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const work = mkdtempSync(join(tmpdir(), 'rsio-package-'));
try {
  const all = join(work, 'all');
  const debs = {};
  for (const [name, product] of Object.entries(PRODUCTS)) {
    const tree = join(work, name);
    const libraries = stage(name, product, release.version, tree);
    cpSync(tree, all, { recursive: true, errorOnExist: true, force: false });
    debs[name] = packDeb(name, product, release, libraries, tree, out);
    console.log(relative(process.cwd(), debs[name]));
  }
  for (const name of values.images === true ? Object.keys(IMAGES) : []) {
    const needed = [name, ...PRODUCTS[name].sameVersion].map((one) => debs[one]);
    console.log(relative(process.cwd(), packImage(name, release, needed, work, out)));
  }
  console.log(relative(process.cwd(), packTarball(release, all, out)));
} finally {
  rmSync(work, { recursive: true, force: true });
}

function lastCommit() {
  return execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' });
}
