// Makes OCI images of the server and of the client, each an archive that podman, docker and skopeo load. No daemon and no registry is needed:
// mmdebstrap makes a root of Debian with its own Node and the packages installed, and buildah makes an image of it.
// Invariant: the storage of buildah is below the working folder, so that the images of this machine are not touched.

import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const SUITE = 'trixie';
const MIRROR = 'http://deb.debian.org/debian';
/** What the packages depend on, and what is needed to install them. */
const INCLUDED = 'nodejs,perl,iproute2,mount,adduser';

/** `runs`: what the container runs. `keeps`: folders that outlive it. */
export const IMAGES = {
  'rsio-server': { runs: ['/usr/sbin/rssrv', '--foreground'], keeps: ['/etc/dvsc', '/var/lib/rsio', '/var/log/rsio'], port: '5000' },
  'rsio-client': { runs: ['/usr/sbin/rsiod', '--foreground'], keeps: ['/var/lib/rsio', '/var/log/rsio'], port: null },
};

/** Says which programs are missing; '' if none. */
export function missingForImages() {
  return ['mmdebstrap', 'buildah']
    .filter((program) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' }).status !== 0)
    .join(', ');
}

/** Returns the file of the image. `deb`: the file of the package. */
export function packImage(name, release, deb, work, folder) {
  const { version, epoch } = release;
  const { runs, keeps, port } = IMAGES[name];
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
  const tree = join(work, `${name}.tar`);
  const install = `cp "${deb}" "$1/var/tmp/one.deb" && chroot "$1" dpkg -i /var/tmp/one.deb && rm "$1/var/tmp/one.deb"`;
  const tidy = 'rm -rf "$1"/usr/share/doc/[!r]* "$1"/usr/share/locale "$1"/var/log/*.log "$1"/var/log/apt';
  const hooks = [install, tidy].map((hook) => `--customize-hook=${hook}`);
  run('mmdebstrap', ['--quiet', '--variant=minbase', `--include=${INCLUDED}`, ...hooks, SUITE, tree, MIRROR], env);
  const storage = ['--storage-driver', 'vfs', '--root', join(work, 'images'), '--runroot', join(work, 'images-run')];
  const buildah = (...args) => run('buildah', [...storage, ...args], env);
  const container = buildah('from', 'scratch').trim();
  buildah('add', container, tree, '/');
  const settings = ['--entrypoint', JSON.stringify(runs), '--label', `org.opencontainers.image.title=${name}`];
  settings.push('--label', `org.opencontainers.image.version=${version}`, '--label', 'org.opencontainers.image.licenses=Apache-2.0');
  settings.push('--stop-signal', 'SIGTERM', ...keeps.flatMap((one) => ['--volume', one]), ...(port === null ? [] : ['--port', port]));
  buildah('config', ...settings, container);
  const file = join(folder, `${name}_${version}_${release.architecture}.oci.tar`);
  buildah('commit', '--timestamp', String(epoch), '--rm', '--format', 'oci', container, `oci-archive:${file}:${name}:${version}`);
  return file;
}

function run(program, args, env) {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env, maxBuffer: 16 * 1024 * 1024 });
}
