// The files for Prometheus and Grafana, and the page about metrics: the files use only metrics and labels that exist, the rules pass their
// tests, and the page describes every metric. With UPDATE_METRICS=1, the test writes the table of the page itself.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MetricTable } from '@rsio/common/metrics/metric-table';
import { CSI_METRICS } from '@rsio/csi/metric-table';
import { APP_METRICS } from '@rsio/rsapp/metric-table';
import { CLIENT_METRICS } from '@rsio/rsiod/control/metric-table';
import { SERVER_METRICS } from '@rsio/rssrv/admin/metric-table';
import { expect, it } from 'vitest';
import { needTool, runWell } from '../support/programs/programs.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = `${PROJECT}docs/METRICS.md`;
const METRICS: MetricTable = { ...SERVER_METRICS, ...CLIENT_METRICS, ...APP_METRICS, ...CSI_METRICS };
const HISTOGRAM_SUFFIX = /_(bucket|sum|count)$/;
/** Labels of Prometheus itself, of its alerts, and of histograms and build_info. */
const OTHER_LABELS = ['job', 'instance', 'severity', 'alertname', 'alertstate', 'le', '__name__'];

function read(name: string): string {
  return readFileSync(`${PROJECT}${name}`, 'utf8');
}

/** Returns the metrics in an expression that no daemon has. */
function unknownIn(expression: string): string[] {
  const names = expression.match(/\brsio_[a-z_]+/g) ?? [];
  return names.filter((name) => {
    const definition = METRICS[name] ?? METRICS[name.replace(HISTOGRAM_SUFFIX, '')];
    return definition === undefined || (definition.type === 'histogram') !== HISTOGRAM_SUFFIX.test(name);
  });
}

/** Returns the labels in an expression or a legend that no metric of the expression has. */
function strangeLabelsIn(expression: string, legend = ''): string[] {
  const names = (expression.match(/\brsio_[a-z_]+/g) ?? []).map((name) =>
    Object.hasOwn(METRICS, name) ? name : name.replace(HISTOGRAM_SUFFIX, ''),
  );
  const known = new Set([...OTHER_LABELS, ...names.flatMap((name) => METRICS[name]?.labels ?? [])]);
  const matched = [...expression.matchAll(/[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
  const grouped = [...expression.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',').map((label) => label.trim()));
  const shown = [...legend.matchAll(/\{\{(?:\s*\$labels\.)?\s*([a-z_]+)\s*\}\}/g)].map(([, label = '']) => label);
  return [...matched, ...grouped, ...shown].filter((label) => !known.has(label));
}

function tableOf(metrics: MetricTable): string {
  const rows = Object.entries(metrics).map(([name, { type, help, labels }]) => `| \`${name}\` | ${type} | ${labels.join(' ')} | ${help} |`);
  return ['| metric | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

it('names and labels follow the rules of Prometheus', () => {
  for (const [name, { type, help, labels }] of Object.entries(METRICS)) {
    expect(name).toMatch(/^rsio_(server|client|app|csi)_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    expect(help, name).toMatch(/^[A-Z0-9].*[^.]$/);
    for (const label of labels)
      expect([
        'application',
        'node',
        'volume',
        'client',
        'gate',
        'address',
        'pool',
        'path',
        'peer',
        'interface',
        'server',
        'namespace',
        'replication',
        'peer',
        'direction',
        'operation',
        'kind',
        'pace',
        'state',
        'version',
      ]).toContain(label);
  }
});

it('docs/METRICS.md has the table of all metrics', () => {
  const page = read('docs/METRICS.md');
  const written = [SERVER_METRICS, CLIENT_METRICS, APP_METRICS, CSI_METRICS].reduce((text, table: MetricTable, index) => {
    const [heading, next] =
      [
        ['## Metrics of rssrv', '## Metrics of rsiod'],
        ['## Metrics of rsiod', '## Metrics of rsapp'],
        ['## Metrics of rsapp', '## Metrics of rsio-csi'],
        ['## Metrics of rsio-csi', '## Stability'],
      ][index] ?? [];
    const [begin, end] = [text.indexOf(`${heading}\n`) + `${heading}\n`.length, text.indexOf(`\n${next}`)];
    return `${text.slice(0, begin)}\n${tableOf(table)}\n${text.slice(end)}`;
  }, page);
  if (process.env['UPDATE_METRICS'] !== undefined) writeFileSync(PAGE, written);
  else expect(page, 'UPDATE_METRICS=1 writes it anew').toBe(written);
});

it('the rules name metrics and labels that exist, and their tests have every alert', () => {
  const rules = read('packaging/prometheus/rsio.rules.yml');
  const tests = read('packaging/prometheus/rsio.rules.test.yml');
  const alerts = rules.split('      - alert: ').slice(1);
  expect(alerts.length).toBeGreaterThan(20);
  for (const alert of alerts) {
    const [name = ''] = alert.split('\n', 1);
    expect(unknownIn(alert), name).toEqual([]);
    expect(strangeLabelsIn(alert, alert), name).toEqual([]);
    expect(tests, name).toContain(name);
    expect(alert, name).toMatch(/labels: \{ severity: (critical|warning|info) \}\n {8}annotations:\n {10}summary: .*\n {10}remedy: /);
  }
  expect(unknownIn(tests)).toEqual([]);
});

it('promtool accepts the rules, and each alert fires for what it is about', async (context) => {
  needTool(context, 'promtool', 'prometheus');
  const cwd = `${PROJECT}packaging/prometheus`;
  expect(await runWell('promtool', ['check', 'rules', 'rsio.rules.yml'], { cwd })).toContain('SUCCESS');
  expect(await runWell('promtool', ['test', 'rules', 'rsio.rules.test.yml'], { cwd })).toContain('SUCCESS');
});

it('the dashboard names metrics and labels that exist, and shows every panel at a place of its own', () => {
  interface Panel {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }
  const dashboard = JSON.parse(read('packaging/grafana/rsio.json')) as {
    readonly panels: readonly Panel[];
    readonly templating: { readonly list: readonly { readonly definition?: string }[] };
  };
  const { panels } = dashboard;
  expect(panels.length).toBeGreaterThan(25);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length);
  for (const { title, gridPos, targets = [] } of panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (const { expr, legendFormat } of targets) {
      expect(unknownIn(expr), title).toEqual([]);
      expect(strangeLabelsIn(expr, legendFormat), `${title}: ${expr}`).toEqual([]);
    }
  }
  for (const { definition = '' } of dashboard.templating.list) expect(unknownIn(definition)).toEqual([]);
});
