// Makes OCI images of the server, of the client and of the CSI driver, each an archive that podman, docker and skopeo load. No daemon and no
// registry is needed: mmdebstrap makes a Debian root with its own Node and the installed packages, and buildah turns the root into an image.
// Invariants: the storage of buildah is below the working folder, so that the images of this machine are not touched. The same packages of
// RSIO and of Debian, and the same buildah, give the same bytes.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { imageFaults, ROOT_LABEL } from './image-check.mjs';

const SUITE = 'trixie';
/** File with Debian's keys. The apt of another system, or of a newer Debian, does not trust these keys by itself. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Suites in each kind of Debian's repositories, by the label of the repository. */
const SUITES = { Debian: [SUITE, `${SUITE}-updates`], 'Debian-Security': [`${SUITE}-security`] };
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

/**
 * Returns the lines of sources.list. `targets`: a line `URL LABEL` for each repository of Debian that the apt of this machine uses. Throws
 * if none of them has packages of Debian.
 */
export function sourcesOf(targets) {
  const repositories = targets.split('\n').map((line) => line.split(' '));
  const lines = repositories.flatMap(([url, label]) => (SUITES[label] ?? []).map((suite) => `deb ${url} ${suite} main`));
  if (!lines.some((line) => line.includes(` ${SUITE} `)))
    throw new Error('apt knows no mirror of Debian: run apt-get update, or give --mirror URL');
  return [...new Set(lines)];
}

function sources(mirror) {
  if (mirror !== null) return [`deb ${mirror} ${SUITE} main`];
  return sourcesOf(
    run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(LABEL)', 'Created-By: Packages', 'Origin: Debian'], process.env),
  );
}

/** Arguments of `buildah config`. */
export function settingsOf(name, { version, epoch, architecture }) {
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
    ...['--os', 'linux', '--arch', architecture],
    ...['--entrypoint', JSON.stringify(runs), '--stop-signal', 'SIGTERM', '--env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    ...Object.entries(labels).flatMap(([label, text]) => ['--label', `${label}=${text}`]),
    ...keeps.flatMap((one) => ['--volume', one]),
    ...(port === null ? [] : ['--port', port]),
  ];
}

/**
 * Hooks of mmdebstrap, in their order. `debs`: the files of the package and of the RSIO packages that it needs. No hook touches /tmp of the
 * root, because mmdebstrap keeps a configuration there: with it, the last calls of apt clean the root, and not this machine. mmdebstrap
 * empties /tmp itself.
 */
function hooksOf(debs) {
  const files = debs.map((deb) => `"${deb}"`).join(' ');
  const install = `mkdir "$1/var/tmp/debs" && cp ${files} "$1/var/tmp/debs" && chroot "$1" sh -c "dpkg -i /var/tmp/debs/*" && rm -r "$1/var/tmp/debs"`;
  const left = [
    // Leaves out compiled code, because it differs at each compilation, and a container starts its program only once.
    '/usr/lib/rsio/*/dist/program/*.code /usr/share/doc/[!r]* /usr/share/locale /var/log/*.log /var/log/apt /var/tmp/*',
    '/var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old /etc/*-',
    // Leaves out what mmdebstrap copies from this machine, and the address of its mirror.
    '/etc/resolv.conf /etc/hostname /etc/apt/sources.list /etc/apt/sources.list.d/*',
  ];
  const tidy = `cd "$1" && rm -rf ${left.join(' ').replaceAll(/(?<=^| )\//g, './')}`;
  // Removes setuid and setgid bits: programs in a container already run as its root, and no other user needs more rights.
  const plain = 'find "$1" -xdev -type f -perm /6000 -exec chmod ug-s {} +';
  return [install, tidy, plain].map((hook) => `--customize-hook=${hook}`);
}

/** Returns the file of the image. Throws if the image has faults. `mirror`: URL of Debian's packages; null: those that apt uses. */
export function packImage(name, release, debs, { work, folder, mirror }) {
  const { version, epoch, architecture } = release;
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
  const tree = join(work, `${name}.tar`);
  const include = [INCLUDED, ...(IMAGES[name].needs ?? [])].join(',');
  const options = ['--quiet', '--variant=minbase', `--architectures=${architecture}`, `--include=${include}`, `--keyring=${KEYRING}`];
  // A container gets its devices from its runtime.
  run('mmdebstrap', [...options, '--skip=output/dev', ...hooksOf(debs), SUITE, tree, ...sources(mirror)], env);
  const storage = ['--storage-driver', 'vfs', '--root', join(work, 'images'), '--runroot', join(work, 'images-run')];
  const buildah = (...args) => run('buildah', [...storage, ...args], env);
  const container = buildah('from', 'scratch').trim();
  buildah('add', container, tree, '/');
  const dev = join(work, 'dev');
  mkdirSync(dev, { recursive: true });
  // A runtime with a read-only root cannot make the folder of its devices.
  buildah('add', container, dev, '/dev');
  buildah('config', ...settingsOf(name, release), container);
  const file = join(folder, `${name}_${version}_${architecture}.oci.tar`);
  packArchive(buildah, container, name, release, join(work, `${name}.oci`), file);
  const faults = imageFaults(file, { port: IMAGES[name].port, architecture });
  if (faults.length > 0) throw new Error(`Image ${name} has faults: ${faults.join('; ')}`);
  return file;
}

/**
 * Makes an archive of the container, and removes the container. buildah's own archives contain the times at which they were made.
 * `layout`: a new folder.
 */
export function packArchive(buildah, container, name, { version, epoch }, layout, file) {
  buildah('commit', '--timestamp', String(epoch), '--rm', '--format', 'oci', container, `oci:${layout}:${name}:${version}`);
  const order = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX', '--format=gnu'];
  run('tar', [...order, '-cf', file, '-C', layout, 'blobs', 'index.json', 'oci-layout'], process.env);
}

function run(program, args, env) {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env, maxBuffer: 16 * 1024 * 1024 });
}
