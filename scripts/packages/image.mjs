// Makes OCI images of the server, of the client and of the CSI driver, each an archive that podman, docker and skopeo load. No daemon and no registry is
// needed: mmdebstrap makes a Debian root with its own Node and the installed packages, and buildah turns the root into an image. Invariant:
// the storage of buildah is below the working folder, so that the images of this machine are not touched.

import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { imageFaults, ROOT_LABEL } from './image-check.mjs';

const SUITE = 'trixie';
const MIRROR = 'http://deb.debian.org/debian';
/** Dependencies of the packages, and the programs that install them. */
const INCLUDED = 'nodejs,perl,iproute2,mount,adduser';

/** `needs`: further Debian packages. `runs`: command of the container. `keeps`: folders that outlive the container. `root`: why the container starts as root. */
export const IMAGES = {
  'rsio-server': {
    what: 'rssrv, which serves volumes over the network',
    runs: ['/usr/sbin/rssrv', '--foreground'],
    keeps: ['/etc/dvsc', '/var/lib/rsio', '/var/log/rsio'],
    port: '5000',
    root: 'rssrv opens disks and gives each process that serves a client a user of its own',
  },
  'rsio-client': {
    what: 'rsiod, which attaches volumes of rssrv as block devices',
    runs: ['/usr/sbin/rsiod', '--foreground'],
    keeps: ['/var/lib/rsio', '/var/log/rsio'],
    port: null,
    root: 'rsiod makes device nodes and mounts',
  },
  'rsio-csi': {
    what: 'rsio-csi, through which Kubernetes uses volumes of RSIO',
    needs: ['e2fsprogs', 'xfsprogs'],
    runs: ['/usr/sbin/rsio-csi'],
    keeps: [],
    port: null,
    root: 'rsio-csi mounts volumes for pods and opens the control socket of rsiod',
  },
};

function isProgramThere(program) {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' }).status === 0;
}

/** Returns a sentence that names the missing programs; '': no program is missing. */
export function missingForImages() {
  return ['mmdebstrap', 'buildah'].filter((program) => !isProgramThere(program)).join(', ');
}

/** Arguments of `buildah config`. */
export function settingsOf(name, { version, epoch }) {
  const { what, runs, keeps, port, root } = IMAGES[name];
  const labels = {
    'org.opencontainers.image.title': name,
    'org.opencontainers.image.description': what,
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.created': new Date(epoch * 1_000).toISOString(),
    [ROOT_LABEL]: root,
  };
  return [
    ...['--entrypoint', JSON.stringify(runs), '--stop-signal', 'SIGTERM', '--env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    ...Object.entries(labels).flatMap(([label, text]) => ['--label', `${label}=${text}`]),
    ...keeps.flatMap((one) => ['--volume', one]),
    ...(port === null ? [] : ['--port', port]),
  ];
}

/**
 * Returns the file of the image. Throws if the image has faults. `debs`: the files of the package and of the RSIO packages that it needs.
 */
export function packImage(name, release, debs, work, folder) {
  const { version, epoch } = release;
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
  const tree = join(work, `${name}.tar`);
  const files = debs.map((deb) => `"${deb}"`).join(' ');
  const install = `mkdir "$1/var/tmp/debs" && cp ${files} "$1/var/tmp/debs" && chroot "$1" sh -c "dpkg -i /var/tmp/debs/*" && rm -r "$1/var/tmp/debs"`;
  // Leaves out compiled code, because it differs at each compilation, and a container starts its program only once.
  const left =
    '/usr/lib/rsio/*/dist/program/*.code /usr/share/doc/[!r]* /usr/share/locale /var/log/*.log /var/log/apt /var/lib/apt/lists/*_* /var/cache/apt/*.bin /tmp/* /var/tmp/*';
  const tidy = `cd "$1" && rm -rf ${left.replaceAll(' /', ' ./').replace(/^/, '.')}`;
  // Removes setuid and setgid bits: programs in a container already run as its root, and no other user needs more rights.
  const plain = 'find "$1" -xdev -type f -perm /6000 -exec chmod ug-s {} +';
  const hooks = [install, tidy, plain].map((hook) => `--customize-hook=${hook}`);
  run(
    'mmdebstrap',
    ['--quiet', '--variant=minbase', `--include=${[INCLUDED, ...(IMAGES[name].needs ?? [])].join(',')}`, ...hooks, SUITE, tree, MIRROR],
    env,
  );
  const storage = ['--storage-driver', 'vfs', '--root', join(work, 'images'), '--runroot', join(work, 'images-run')];
  const buildah = (...args) => run('buildah', [...storage, ...args], env);
  const container = buildah('from', 'scratch').trim();
  buildah('add', container, tree, '/');
  buildah('config', ...settingsOf(name, release), container);
  const file = join(folder, `${name}_${version}_${release.architecture}.oci.tar`);
  buildah('commit', '--timestamp', String(epoch), '--rm', '--format', 'oci', container, `oci-archive:${file}:${name}:${version}`);
  const faults = imageFaults(file, IMAGES[name].port);
  if (faults.length > 0) throw new Error(`Image ${name} has faults: ${faults.join('; ')}`);
  return file;
}

function run(program, args, env) {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env, maxBuffer: 16 * 1024 * 1024 });
}
