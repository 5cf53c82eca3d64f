// Packs a staged tree as a Debian package: control file, checksums, list of configuration files, maintainer scripts, changelog, copyright.
// dpkg-deb makes the archive. debhelper would need Debian's build tools. Configuration files of daemons are not conffiles, because commands
// change them, and each upgrade would ask about the differences. Invariant: the same tree gives the same bytes; no file is newer than the
// commit.

import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { ROOT } from '../prepare.mjs';
import { copyrightOf } from './copyright.mjs';

const MAINTAINER = 'The RSIO authors <maintainers@rsio.example.org>';
const SCRIPTS = ['postinst', 'prerm', 'postrm'];
/** An update of Node makes dpkg call `postinst triggered`, which compiles the programs again. */
const TRIGGERS = 'interest-noawait /usr/bin/node\n';
const WIDTH = 2;

/** Returns the file of the package. `release`: { version, epoch (seconds), architecture }. `libraries`: the names that stage() returned. */
export function packDeb(name, product, release, libraries, tree, folder) {
  const { version, epoch, architecture } = release;
  const write = (place, content, mode = 0o644) => {
    const file = join(tree, place);
    mkdirSync(dirname(file), { recursive: true });
    chmodSync(dirname(file), 0o755);
    writeFileSync(file, content);
    chmodSync(file, mode);
  };
  const documents = `usr/share/doc/${name}`;
  write(`${documents}/changelog.gz`, gzipSync(changelog(name, version, epoch), { level: 9 }));
  write(`${documents}/copyright`, copyrightOf(libraries));
  const files = filesOf(tree);
  const kibibytes = files.reduce((sum, file) => sum + Math.ceil(statSync(join(tree, file)).size / 1024), 0);
  const isNative = product.isNative === true;
  const fields = {
    Package: name,
    Version: version,
    Architecture: isNative ? architecture : 'all',
    Maintainer: MAINTAINER,
    'Installed-Size': kibibytes,
    Depends: product.depends.join(', '),
    // No Breaks: apt would remove a package that it cannot upgrade in the same run.
    Replaces: product.formerly.join(', '),
    Recommends: [...product.beside, ...product.recommends].join(', '),
    Suggests: product.suggests.join(', '),
    Section: 'admin',
    Priority: 'optional',
    Description: [product.summary, ...product.description.map((line) => ` ${line}`)].join('\n'),
  };
  const control = Object.entries(fields)
    .filter(([, value]) => value !== '')
    .map(([field, value]) => `${field}: ${value}\n`);
  write('DEBIAN/control', control.join(''));
  write('DEBIAN/md5sums', files.map((file) => `${md5(join(tree, file))}${' '.repeat(WIDTH)}${file}\n`).join(''));
  const settings = files.filter((file) => file.startsWith('etc/'));
  if (settings.length > 0) write('DEBIAN/conffiles', settings.map((file) => `/${file}\n`).join(''));
  const scripts = join(ROOT, 'packaging/deb', name);
  for (const script of SCRIPTS.filter((one) => existsSync(join(scripts, one))))
    write(`DEBIAN/${script}`, readFileSync(join(scripts, script)), 0o755);
  write('DEBIAN/triggers', TRIGGERS);
  const file = join(folder, `${name}_${version}_${fields.Architecture}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return file;
}

function filesOf(tree) {
  return readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(tree, join(entry.parentPath, entry.name)))
    .toSorted();
}

function md5(file) {
  return createHash('md5').update(readFileSync(file)).digest('hex');
}

/** Changelog in Debian's format; CHANGELOG.md has the details. */
function changelog(name, version, epoch) {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) unstable; urgency=medium\n\n  * Release ${version}: see CHANGELOG.md of the source.\n\n -- ${MAINTAINER}  ${date}\n`;
}
