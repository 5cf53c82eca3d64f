// The manifests for Kubernetes agree with the program: options, sockets, names, folders and parameters. The manifests have not been applied to
// a cluster (N14), so only this test finds errors in them. Rules: N14.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { mutableSettingsOf, parametersOf } from '@rsio/csi/controller/parameters';
import { DRIVER_NAME } from '@rsio/csi/identity';
import { CSI_OPTIONS, setupOf } from '@rsio/csi/options';
import { expect, it } from 'vitest';
import { programVersion } from '@rsio/base/lib/version';
import { argsOf, mountsOf, readManifest as read } from '../support/scenes/csi-manifests.ts';

/** Parses arguments of the form `--name` and `--name=value`. */
function given(args: readonly string[]): Record<string, string | boolean> {
  return Object.fromEntries(args.map((arg) => arg.replace(/^--/, '').split('=', 2)).map(([name = '', value]) => [name, value ?? true]));
}

it.each(['controller', 'node'])('the program takes the arguments of %s.yaml, and its sidecars use the same socket', (mode) => {
  const manifest = read(mode);
  const args = argsOf(manifest, 'rsio-csi');
  for (const arg of args) expect(Object.keys(CSI_OPTIONS)).toContain(arg.replace(/^--|=.*$/g, ''));
  const setup = setupOf(given(args), '/');
  expect(setup.mode).toBe(mode);
  expect(manifest).toContain(`containerPort: ${setup.metrics?.port}`);
  const addresses = [...manifest.matchAll(/--csi-address=(\S+)/g)].map(([, address]) => address);
  expect(addresses.length).toBeGreaterThan(0);
  expect(new Set(addresses)).toEqual(new Set([setup.socket]));
  const ports = manifest.match(/:98\d\d\b/g) ?? [];
  expect(new Set(ports).size).toBe(ports.length);
});

it('the node uses the rsiod and the state folder of its machine, and the name of the driver is that of the program', () => {
  const manifest = read('node');
  const defaults = setupOf({ node: true, socket: '/s' }, '/');
  const setup = setupOf(given(argsOf(manifest, 'rsio-csi')), '/');
  expect([setup.rsiod, setup.state]).toEqual([defaults.rsiod, defaults.state]);
  for (const place of ['/run/rsio/rsiod', setup.state, '/dev', '/var/lib/kubelet']) {
    const [, name] = new RegExp(`\\{ name: (\\w+), mountPath: ${place}[ ,]`).exec(manifest) ?? [];
    expect(manifest, place).toMatch(new RegExp(`\\{ name: ${name}, hostPath: \\{ path: ${place},`));
  }
  expect(manifest).toContain(`--kubelet-registration-path=/var/lib/kubelet/plugins/${DRIVER_NAME}/csi.sock`);
  expect(read('driver')).toContain(`kind: CSIDriver\nmetadata:\n  name: ${DRIVER_NAME}\n`);
  const bidirectional = mountsOf(manifest, 'rsio-csi').filter(({ isBidirectional }) => isBidirectional);
  expect(bidirectional.map(({ place }) => place)).toEqual(['/var/lib/kubelet']);
  const named = [...read('classes').matchAll(/^(?:provisioner|driver|driverName): (\S+)$/gm)].map(([, name]) => name);
  expect(new Set(named)).toEqual(new Set([DRIVER_NAME]));
});

it('the classes have parameters that the driver accepts', () => {
  const documents = read('classes').split(/^---$/m);
  const kinds = documents.map((text) => /^kind: (\S+)$/m.exec(text)?.[1] ?? '');
  for (const [index, text] of documents.entries()) {
    const [, lines = ''] = /^parameters:\n((?: {2}.*\n?)+)/m.exec(text) ?? [];
    const entries = [...lines.matchAll(/^ {2}(\w+): '?([^'\n]*)'?$/gm)].map(([, key = '', value = '']) => [key, value] as const);
    const parameters = Object.fromEntries(entries);
    if (kinds[index] === 'StorageClass') expect(Object.keys(parameters).length).toBeGreaterThan(1);
    expect(() => (kinds[index] === 'VolumeAttributesClass' ? mutableSettingsOf(parameters) : parametersOf(parameters))).not.toThrow();
  }
  expect(new Set(kinds)).toEqual(new Set(['StorageClass', 'VolumeAttributesClass', 'VolumeSnapshotClass', 'VolumeGroupSnapshotClass']));
});

it('images of the project have its version, and objects name accounts, secrets and volumes that exist', () => {
  const all = ['driver', 'controller', 'node'].map(read).join('---\n');
  const own = [...all.matchAll(/image: (rsio-[a-z]+):(\S+)/g)];
  expect(own.length).toBeGreaterThan(2);
  for (const [, name, version] of own) expect({ name, version }).toEqual({ name, version: programVersion() });
  for (const [, account] of all.matchAll(/serviceAccountName: (\S+)/g))
    expect(all).toContain(`kind: ServiceAccount\nmetadata:\n  name: ${account}\n`);
  for (const mode of ['controller', 'node']) {
    const manifest = read(mode);
    const [containers = '', volumes = ''] = manifest.split('\n      volumes:\n');
    for (const [, name] of containers.matchAll(/\{ name: (\w+), mountPath/g)) expect(volumes, name).toContain(`{ name: ${name},`);
  }
  const guide = readFileSync(fileURLToPath(new URL('../../docs/KUBERNETES.md', import.meta.url)), 'utf8');
  const [, secret = ''] = /secretName: ([\w-]+)/.exec(all) ?? [];
  expect(guide).toContain(`create secret generic ${secret} --from-file=rscltcfg`);
  for (const [, label = ''] of all.matchAll(/nodeSelector: \{ (\S+): /g)) expect(guide).toContain(`${label}=yes`);
});

it('the guide names every parameter of a class', () => {
  const guide = readFileSync(fileURLToPath(new URL('../../docs/KUBERNETES.md', import.meta.url)), 'utf8');
  const refusal = ((): string => {
    try {
      parametersOf({ unknown: 'x' });
      return '';
    } catch (thrown) {
      return (thrown as Error).message;
    }
  })();
  const [, names = ''] = /known are (.*)$/.exec(refusal) ?? [];
  expect(names.split(', ').length).toBeGreaterThan(5);
  for (const name of names.split(', ')) expect(guide).toContain(`\`${name}\``);
});
