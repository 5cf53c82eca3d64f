// Checks an OCI image by the rules of hadolint and dockle: its configuration, and each file of its layers. image.mjs fails for an image
// with faults. Pure, except that imageFaults() reads an archive with tar. Invariant: each permitted exception is listed with its reason.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The label that says why a container starts as root. An image without this label must start as another user. */
export const ROOT_LABEL = 'rsio.starts-as-root';
const LABELS = ['title', 'description', 'version', 'licenses', 'created'].map((name) => `org.opencontainers.image.${name}`);
const SECRET_NAME = /secret|token|passw|credential|private|_key$/i;
const SECRET_FILE =
  /(^|\/)(\.ssh|\.gnupg|\.git|\.aws)\/|(^|\/)(\.npmrc|\.netrc|id_[a-z0-9]+|ssh_host_\w+_key|[^/]+\.p12)$|^etc\/ssl\/private\/./;
const CACHE =
  /^var\/(cache\/apt\/(archives\/)?[^/]+\.(deb|bin)|lib\/apt\/lists\/[^/]*_)|^(root|home\/[^/]+)\/\.(npm|cache)\/|^(var\/)?tmp\/./;
/** Files that mmdebstrap copies from the machine that makes the image, or that name its mirror. */
const MAKER = /^etc\/(resolv\.conf|hostname|apt\/sources\.list(\.d\/.+)?)$/;
const SHELLS = new Set(['sh', 'bash', 'dash', 'env']);
/** Matches a line of tar's list, and captures the type, the nine rights, the time and the name of the file. */
const ENTRY = /^([-dlhcbp])([-rwxsStT]{9})\S* +\S+ +\d+(?:,\d+)? +(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S* +(.+)$/;

/**
 * `image`: the configuration of an OCI image. `wanted`: its architecture, and the TCP port on which the program listens; null: it listens on
 * no port.
 */
export function configFaults({ architecture, os, created, config = {}, history = [] }, wanted) {
  const { User = '', Env = [], Entrypoint = [], Cmd = [], Labels = {}, StopSignal, ExposedPorts = {}, Volumes = {} } = config;
  const faults = [];
  const [program = ''] = Entrypoint;
  if (!program.startsWith('/')) faults.push('the entrypoint is not a program with its whole path');
  if (SHELLS.has(program.split('/').at(-1))) faults.push(`the entrypoint is run by ${program}, which does not pass signals on`);
  if (Cmd.length > 0) faults.push(`it has a command besides its entrypoint: ${Cmd.join(' ')}`);
  if (['', '0', 'root'].includes(User.split(':')[0]) && !Labels[ROOT_LABEL])
    faults.push(`it starts as root, and label ${ROOT_LABEL} does not say why`);
  if (StopSignal !== 'SIGTERM') faults.push('its stop signal is not SIGTERM');
  const ports = Object.keys(ExposedPorts).map((name) => (name.includes('/') ? name : `${name}/tcp`));
  const expected = wanted.port === null ? [] : [`${wanted.port}/tcp`];
  if (ports.join() !== expected.join())
    faults.push(`it exposes ${ports.join(', ') || 'no port'} instead of ${expected.join(', ') || 'none'}`);
  if (os !== 'linux' || architecture !== wanted.architecture)
    faults.push(`it is for ${os}/${architecture} instead of linux/${wanted.architecture}`);
  for (const name of LABELS) if (!Labels[name]) faults.push(`label ${name} is missing`);
  const names = Env.map((line) => line.split('=', 1)[0]);
  if (!names.includes('PATH')) faults.push('PATH is not set, and runtimes differ in what they set');
  for (const name of names.filter((one) => SECRET_NAME.test(one))) faults.push(`the environment has ${name}, which may be a secret`);
  for (const folder of Object.keys(Volumes).filter((one) => !one.startsWith('/'))) faults.push(`volume ${folder} has no whole path`);
  const made = Date.parse(created);
  if (Number.isNaN(made)) faults.push('it does not say when it was made');
  if (history.some((step) => step.created !== undefined && Date.parse(step.created) > made))
    faults.push('a step of its history is newer than the image');
  return faults;
}

/** `list`: lines of `tar --list --verbose --numeric-owner --full-time` in GMT. `createdMs`: no file may be newer than this time. */
export function fileFaults(list, createdMs) {
  return list.flatMap((line) => {
    const [, type = '', rights = '', time = '', rest = ''] = ENTRY.exec(line) ?? [];
    if (type === '') return [`tar lists what this check cannot read: ${line}`];
    const path = rest.split(type === 'l' ? ' -> ' : ' link to ', 1)[0].replace(/^\.?\//, '');
    const faults = [];
    if (type === '-' && /[sS]/.test(rights)) faults.push(`${path} is setuid or setgid`);
    if (type !== 'l' && rights[7] === 'w' && !/[tT]$/.test(rights)) faults.push(`${path} can be written by every user`);
    if (type === 'c' || type === 'b') faults.push(`${path} is a device`);
    if (SECRET_FILE.test(path)) faults.push(`${path} may be a secret`);
    if (MAKER.test(path)) faults.push(`${path} describes the machine that made the image`);
    if (CACHE.test(path)) faults.push(`${path} is left over from the making of the image`);
    if (Date.parse(`${time.replace(' ', 'T')}Z`) > createdMs) faults.push(`${path} is newer than the image, so that two builds differ`);
    return faults;
  });
}

/** Returns the faults of an archive that packArchive() has written, as a list. `wanted`: as for configFaults(). */
export function imageFaults(archive, wanted) {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-image-'));
  const read = (digest) => JSON.parse(readFileSync(join(folder, 'blobs', ...digest.split(':')), 'utf8'));
  try {
    execFileSync('tar', ['--extract', '--file', archive, '--directory', folder]);
    const { manifests } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'));
    return manifests.flatMap(({ digest }) => {
      const { config, layers } = read(digest);
      const image = read(config.digest);
      const files = layers.flatMap((layer) => {
        const options = [
          '--list',
          '--verbose',
          '--numeric-owner',
          '--full-time',
          '--file',
          join(folder, 'blobs', ...layer.digest.split(':')),
        ];
        const list = execFileSync('tar', options, {
          encoding: 'utf8',
          env: { ...process.env, TZ: 'GMT', LC_ALL: 'C' },
          maxBuffer: 64 * 1024 * 1024,
        });
        return list.split('\n').filter((line) => line !== '');
      });
      return [...configFaults(image, wanted), ...fileFaults(files, Date.parse(image.created))];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
