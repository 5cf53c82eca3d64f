// Tests the keys about metrics in both configuration files: accepted values, and values that are refused because other machines could read
// the metrics. The tests in the folder metrics cover the metrics server.

import { expect, test } from 'vitest';
import type { MetricsConfig } from '../schema/types.ts';
import { smallRssrvcfg } from '../../testing/sample-rssrvcfg.ts';
import { examineRscltConfig } from './rscltcfg.ts';
import { examineRssrvConfig } from './rssrvcfg.ts';

const TOKEN = '0123456789abcdef';

interface Found {
  readonly metrics: MetricsConfig | null | undefined;
  readonly problems: readonly string[];
}

function onServer(keys: string): Found {
  const { config, problems } = examineRssrvConfig(smallRssrvcfg({ server: keys, addresses: ['10.0.0.1'] }), 'rssrvcfg');
  return { metrics: config?.server.metrics, problems: problems.map(({ message }) => message) };
}

function onClient(keys: string): Found {
  const { config, problems } = examineRscltConfig(`[defaults]\n${keys}`, 'rscltcfg');
  return { metrics: config?.metrics, problems: problems.map(({ message }) => message) };
}

test('rsiod and rsapp cannot have the same address', () => {
  const both = (port: number): readonly string[] => onClient(`metrics = 127.0.0.1:9510\napp-metrics = 127.0.0.1:${port}\n`).problems;
  expect(both(9510)).toEqual(['app-metrics has the address and port of metrics: use another port']);
  expect(both(9511)).toEqual([]);
});

test.each([
  ['the server', onServer],
  ['the client', onClient],
])('%s: off by default, any loopback address without a token, others with one', (_whose, read) => {
  expect(read('')).toEqual({ metrics: null, problems: [] });
  expect(read('metrics = off\n').metrics).toBeNull();
  expect(read('metrics = 127.0.0.1:9510\n')).toEqual({ metrics: { address: '127.0.0.1', port: 9510, token: null }, problems: [] });
  expect(read('metrics = [::1]:9510\n').metrics).toEqual({ address: '::1', port: 9510, token: null });
  expect(read(`metrics = 0.0.0.0:1\nmetrics-token = ${TOKEN}\n`).metrics).toEqual({ address: '0.0.0.0', port: 1, token: TOKEN });
});

test.each([
  ['the server', onServer],
  ['the client', onClient],
])('%s: an address that others reach needs a token of 16 characters, and no message shows it', (_whose, read) => {
  const without = read('metrics = 10.0.0.1:9510\n');
  expect(without.problems).toEqual([expect.stringMatching(/^metrics = "10\.0\.0\.1:9510" without metrics-token: .*rsconfig key new/)]);
  const short = read('metrics = 10.0.0.1:9510\nmetrics-token = secret\n');
  expect(short.problems).toEqual([expect.stringMatching(/^Short metrics-token with metrics = 10\.0\.0\.1:9510 .*: 6 characters/)]);
  expect(short.problems.join()).not.toContain('secret');
});

test.each(['on', '9510', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '::1:9510', '[127.0.0.1]:9510', 'localhost:9510', '[::1%lo]:9510'])(
  'metrics = %s is refused, with an example',
  (value) => {
    expect(onServer(`metrics = ${value}\n`).problems).toEqual([expect.stringContaining('such as 127.0.0.1:9510 or [::1]:9510')]);
  },
);

test('rsapp has an address of its own, and the same token', () => {
  const examine = (keys: string) => examineRscltConfig(`[defaults]\napp-metrics = 10.0.0.1:9512\n${keys}`, 'rscltcfg');
  expect(examine(`metrics-token = ${TOKEN}\n`).config).toMatchObject({ metrics: null, appMetrics: { port: 9512, token: TOKEN } });
  expect(examine('').problems[0]?.message).toMatch(/^app-metrics = "10\.0\.0\.1:9512" without metrics-token/);
});
