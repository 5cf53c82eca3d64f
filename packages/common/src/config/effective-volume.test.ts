// Tests which section decides each setting of a volume: [defaults], [namespace] or [volume]. The files are read with the production reader.
// The tests of rsiod cover the use of the settings.

import { expect, it } from 'vitest';
import { effectiveVolume, effectiveVolumeOf, namesToAttach, wantsAttached } from './effective-volume.ts';
import { parseRscltConfig } from './reader/rscltcfg.ts';
import { STALL_MS } from './schema/limits.ts';

const MIB = 1024 * 1024;

function configOf(defaults: string, namespace: string, volume: string | null) {
  const own = volume === null ? [] : ['[volume oracle]', volume];
  const text = ['[defaults]', defaults, '[interface if0]', 'address = 192.168.10.1/24', '[namespace osl]', 'namespaceid = 1'];
  const rest = ['nodename = node', `nodekey = ${'k'.repeat(32)}`, namespace, '[server big]', 'address = 192.168.10.9', ...own];
  return parseRscltConfig([...text, ...rest].join('\n'), 'rscltcfg');
}

it.each([
  ['stall', '', '', '', { stall: STALL_MS }],
  ['stall', 'stall = 5m', '', '', { stall: 300_000 }],
  ['stall', 'stall = 5m', 'stall = fail', '', { stall: 'fail' }],
  ['stall', 'stall = 5m', 'stall = fail', 'stall = forever', { stall: 'forever' }],
  ['attach', '', '', '', { attach: false }],
  ['attach', 'attach = all', '', '', { attach: true }],
  ['attach', 'attach = all', 'attach = none', '', { attach: false }],
  ['attach', '', 'attach = archive, oracle', '', { attach: true }],
  ['attach', '', 'attach = archive', '', { attach: false }],
  ['attach', '', 'attach = archive', 'attach = yes', { attach: true }],
  ['attach', 'attach = all', 'attach = oracle', 'attach = no', { attach: false }],
  ['device', '', '', '', { device: 'auto' }],
  ['device', 'device = raw', '', '', { device: 'raw' }],
  ['device', 'device = raw', 'device = none', '', { device: 'none' }],
  ['device', 'device = raw', 'device = none', 'device = block', { device: 'block' }],
  ['log-size', 'log-size = 4M', '', '', { logSizeBytes: 4 * MIB }],
  ['log-size', 'log-size = 4M', 'log-size = 8M', '', { logSizeBytes: 8 * MIB }],
  ['log-size', 'log-size = 4M', 'log-size = 8M', 'log-size = 0', { logSizeBytes: 0 }],
  ['mirror-patience', 'mirror-patience = 2s', '', '', { mirrorPatienceMs: 2000 }],
  ['mirror-patience', 'mirror-patience = 2s', 'mirror-patience = 5s', 'mirror-patience = 3s', { mirrorPatienceMs: 3000 }],
  ['resync-rate', 'resync-rate = 4M', '', '', { resyncRateBytes: 4 * MIB }],
  ['resync-rate', 'resync-rate = 4M', 'resync-rate = 8M', 'resync-rate = 0', { resyncRateBytes: 0 }],
  ['verify-rate', '', '', '', { verifyRateBytes: 'auto' }],
  ['verify-rate', 'verify-rate = 4M', '', 'verify-rate = 0', { verifyRateBytes: 0 }],
  ['mirror-reads', '', '', '', { mirrorReads: 'confirmed' }],
  ['mirror-reads', 'mirror-reads = local', '', 'mirror-reads = confirmed', { mirrorReads: 'confirmed' }],
  ['readonly', '', '', '', { readonly: false }],
  ['readonly', '', '', 'readonly = yes', { readonly: true }],
  ['path', '', '', '', { path: null }],
  ['path', '', '', 'path = /dev/rsio/oracle', { path: '/dev/rsio/oracle' }],
] as const)('%s with defaults "%s", namespace "%s", volume "%s"', (_key, defaults, namespace, volume, expected) => {
  const config = configOf(defaults, namespace, volume);
  expect(effectiveVolume(config.namespaces[0]!, 'oracle')).toMatchObject(expected);
  expect(effectiveVolumeOf(config, { namespace: 'osl', name: 'oracle' })).toMatchObject(expected);
});

it('a volume without a section has the settings of its namespace', () => {
  const config = configOf('', 'device = raw', null);
  expect(effectiveVolumeOf(config, { namespace: 'osl', name: 'archive' })).toMatchObject({ device: 'raw', path: null, readonly: false });
});

it('I/O of a volume whose namespace is no longer configured waits forever', () => {
  const unknown = effectiveVolumeOf(configOf('stall = fail', '', ''), { namespace: 'other', name: 'oracle' });
  expect(unknown).toMatchObject({ stall: 'forever', attach: false, device: 'auto', path: null });
});

// An image must not be attached just because its volume's name is configured. An attached image could not be refreshed, and its file system
// has the same UUID as the volume's file system.
it.each([
  ['attach = oracle', null, [true, false], ['oracle']],
  ['attach = oracle@1', null, [false, true], []],
  ['attach = oracle, oracle@1', null, [true, true], ['oracle']],
  ['attach = all', null, [true, true], []],
  ['attach = all', 'attach = no', [false, false], []],
  ['attach = oracle', 'attach = no', [false, false], []],
  ['attach = oracle@1', 'attach = no', [false, false], []],
  ['attach = none', 'attach = yes', [true, false], ['oracle']],
] as const)('with "%s" and in [volume] %s, the volume and its image are attached: %j', (namespace, volume, expected, names) => {
  const [config] = configOf('', namespace, volume).namespaces;
  expect([0, 1].map((universe) => wantsAttached(config!, { name: 'oracle', universe }))).toEqual(expected);
  expect(namesToAttach(config!)).toEqual(names);
});
