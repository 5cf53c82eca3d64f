// Tests the check of OCI images: it names each fault of a configuration and of a file, and finds no fault in the images of image.mjs. If
// buildah is installed, the test makes images of a few files and reads their archives. Whole images take minutes;
// `npm run package -- --images` checks them.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configFaults, fileFaults, imageFaults } from './image-check.mjs';
import { IMAGES, packArchive, settingsOf, sourcesOf } from './image.mjs';
import { ROOT } from '../prepare.mjs';

const { needPrograms } = await import(join(ROOT, 'packages/base/src/testing/needs.ts'));

const RELEASE = { version: '1.2.3', epoch: 1_700_000_000, architecture: 'arm64' };
const WANTED = { port: '5000', architecture: 'arm64' };
const CREATED = '2023-11-14T22:13:20Z';
const GOOD = {
  os: 'linux',
  architecture: 'arm64',
  created: CREATED,
  history: [{ created: CREATED }],
  config: {
    Entrypoint: ['/usr/sbin/rssrv', '--foreground'],
    Env: ['PATH=/usr/sbin:/usr/bin'],
    ExposedPorts: { '5000/tcp': {} },
    StopSignal: 'SIGTERM',
    Volumes: { '/var/lib/rsio': {} },
    Labels: {
      ...Object.fromEntries(
        ['title', 'description', 'version', 'licenses', 'created'].map((name) => [`org.opencontainers.image.${name}`, 'x']),
      ),
      'rsio.starts-as-root': 'it opens disks',
    },
  },
};

test('a good configuration has no fault', () => {
  expect(configFaults(GOOD, WANTED)).toEqual([]);
});

test.each([
  [{ Entrypoint: ['/bin/sh', '-c', 'rssrv'] }, /does not pass signals on/],
  [{ Entrypoint: ['rssrv'] }, /whole path/],
  [{ Cmd: ['bash'] }, /command besides its entrypoint: bash/],
  [{ Labels: { ...GOOD.config.Labels, 'rsio.starts-as-root': '' } }, /starts as root/],
  [{ Labels: { ...GOOD.config.Labels, 'org.opencontainers.image.version': '' } }, /image.version is missing/],
  [{ StopSignal: undefined }, /stop signal/],
  [{ ExposedPorts: {} }, /exposes no port instead of 5000/],
  [{ ExposedPorts: { '22/tcp': {} } }, /exposes 22/],
  [{ Env: [] }, /PATH/],
  [{ Env: ['PATH=/bin', 'NPM_TOKEN=x'] }, /NPM_TOKEN/],
  [{ Volumes: { data: {} } }, /volume data/],
])('a configuration with %j has one fault', (part, fault) => {
  const faults = configFaults({ ...GOOD, config: { ...GOOD.config, ...part } }, WANTED);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(fault);
});

test('an image that starts as another user needs no reason, and one whose history is newer than itself has a fault', () => {
  const config = { ...GOOD.config, User: 'rsio-web', Labels: { ...GOOD.config.Labels, 'rsio.starts-as-root': '' } };
  expect(configFaults({ ...GOOD, config }, WANTED)).toEqual([]);
  expect(configFaults({ ...GOOD, history: [{ created: '2024-01-01T00:00:00Z' }] }, WANTED)).toHaveLength(1);
});

test('an image for another architecture has a fault', () => {
  expect(configFaults({ ...GOOD, architecture: 'amd64' }, WANTED)).toEqual(['it is for linux/amd64 instead of linux/arm64']);
});

test('packages come from the mirrors of apt, with security updates; other repositories are left out', () => {
  const targets = [
    'http://near/debian/ Debian',
    'http://near/debian/ Debian',
    'http://near/security/ Debian-Security',
    'http://x/ Extra',
    '',
  ];
  expect(sourcesOf(targets.join('\n'))).toEqual([
    'deb http://near/debian/ trixie main',
    'deb http://near/debian/ trixie-updates main',
    'deb http://near/security/ trixie-security main',
  ]);
  expect(() => sourcesOf('http://near/security/ Debian-Security\n')).toThrow(/give --mirror URL/);
});

test.each([
  ['-rwsr-xr-x 0/0 100 2023-11-14 22:13:20 ./usr/bin/su', 'usr/bin/su is setuid or setgid'],
  ['-rwxr-sr-x 0/42 100 2023-11-14 22:13:20 usr/bin/chage', 'usr/bin/chage is setuid or setgid'],
  ['-rw-rw-rw- 0/0 1 2023-11-14 22:13:20 etc/x', 'etc/x can be written by every user'],
  ['crw-r--r-- 0/0 1,3 2023-11-14 22:13:20 dev/null', 'dev/null is a device'],
  ['-rw------- 0/0 1 2023-11-14 22:13:20 root/.ssh/id_ed25519', 'root/.ssh/id_ed25519 may be a secret'],
  [
    '-rw-r--r-- 0/0 1 2023-11-14 22:13:20 var/cache/apt/pkgcache.bin',
    'var/cache/apt/pkgcache.bin is left over from the making of the image',
  ],
  ['-rw-r--r-- 0/0 1 2023-11-14 22:13:20 var/tmp/one.deb', 'var/tmp/one.deb is left over from the making of the image'],
  ['-rw-r--r-- 0/0 1 2023-11-14 22:13:20 etc/resolv.conf', 'etc/resolv.conf describes the machine that made the image'],
  ['-rw-r--r-- 0/0 1 2023-11-14 22:13:20 ./etc/apt/sources.list.d/x', 'etc/apt/sources.list.d/x describes the machine that made the image'],
  ['-rw-r--r-- 0/0 1 2023-11-14 22:13:21 etc/x', 'etc/x is newer than the image, so that two builds differ'],
  ['what is this', 'tar lists what this check cannot read: what is this'],
])('%s', (line, fault) => {
  expect(fileFaults([line], Date.parse(CREATED))).toEqual([fault]);
});

test.each([
  'drwxrwxrwt 0/0 0 2023-11-14 22:13:20 tmp/',
  'drwxrwsr-x 0/8 0 2023-11-14 22:13:20 var/mail/',
  'lrwxrwxrwx 0/0 0 2023-11-14 22:13:20 bin -> usr/bin',
  '-rwxr-xr-x 0/0 9 2023-11-14 22:13:20 usr/sbin/rssrv',
])('%s has no fault', (line) => {
  expect(fileFaults([line], Date.parse(CREATED))).toEqual([]);
});

test.for(Object.keys(IMAGES))(
  'an archive with the settings of %s has no fault and the same bytes at each build, and a setuid program in it is found',
  (name, context) => {
    context.skip(process.getuid?.() !== 0, 'needs root');
    needPrograms(context, 'buildah', 'tar');
    const work = mkdtempSync(join(tmpdir(), 'rsio-image-test-'));
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(RELEASE.epoch) };
    const storage = ['--storage-driver', 'vfs', '--root', join(work, 'images'), '--runroot', join(work, 'images-run')];
    const buildah = (...args) =>
      execFileSync('buildah', [...storage, ...args], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });
    const pack = (file) => {
      const container = buildah('from', 'scratch').trim();
      buildah('add', container, join(work, 'tree'), '/');
      buildah('config', ...settingsOf(name, RELEASE), container);
      packArchive(buildah, container, name, RELEASE, `${file}.oci`, file);
      return imageFaults(file, { ...WANTED, port: IMAGES[name].port });
    };
    try {
      mkdirSync(join(work, 'tree/usr/sbin'), { recursive: true });
      writeFileSync(join(work, 'tree/usr/sbin/program'), '#!/bin/sh\n', { mode: 0o755 });
      expect(pack(join(work, 'good.tar'))).toEqual([]);
      pack(join(work, 'again.tar'));
      expect(readFileSync(join(work, 'again.tar')).equals(readFileSync(join(work, 'good.tar')))).toBe(true);
      chmodSync(join(work, 'tree/usr/sbin/program'), 0o4755);
      expect(pack(join(work, 'bad.tar'))).toEqual(['usr/sbin/program is setuid or setgid']);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  },
);
