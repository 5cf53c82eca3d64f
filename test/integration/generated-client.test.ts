// A client that foreign programs generate from the document of rsweb does the journey of docs/TUTORIAL.md, with real daemons: it creates a
// volume, attaches it, takes a snapshot, grows the volume, detaches and removes it. openapi-typescript makes the types, openapi-fetch sends
// the requests, and the compiler of this project checks the program, so that a fault of the document is an error of the compiler or of the
// journey. Skipped without root, loop devices or xfsprogs. Rules: G54.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import openapiTs, { astToString } from 'openapi-typescript';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { startWeb, tokenOf, WEB_ADDRESS } from '../support/hosts/web.ts';
import { run, type RunResult, wellOf } from '../support/programs/programs.ts';
import { startPoolPair } from '../support/scenes/pool-pair.ts';

const TEST_MS = 300_000;
const COMPILER = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
const FETCH = path.resolve(path.dirname(fileURLToPath(import.meta.resolve('openapi-fetch'))), '..');
const OPTIONS = [
  '--strict',
  '--rewriteRelativeImportExtensions',
  '--exactOptionalPropertyTypes',
  '--noUncheckedIndexedAccess',
  '--module',
  'nodenext',
  '--target',
  'es2023',
];

const hosts = useHosts();

/** The program of a user. It prints what it has seen as JSON. The compiler infers all types from the document. */
const JOURNEY = `
import createClient from 'openapi-fetch';
import type { paths } from './api.ts';

const MIB = 1024 * 1024;
const GROWTHS_MAX = 150;
const GROWTH_PAUSE_MS = 100;
const [, , baseUrl, token] = process.argv;
const api = createClient<paths>({ baseUrl: baseUrl ?? '', headers: { Authorization: \`Bearer \${token}\` } });
const path = { server: 'big-9' };

function good<T>({ data, error }: { data?: T; error?: { code: string; detail: string } }): T {
  if (data === undefined) throw new Error(\`\${error?.code}: \${error?.detail}\`);
  return data;
}

async function bytes(): Promise<number> {
  const { attachments } = good(await api.GET('/client/local'));
  return attachments.reduce((sum, { blocks, blockSizeBytes }) => sum + blocks * blockSizeBytes, 0);
}

const order = { params: { path, header: { 'Idempotency-Key': 'deploy-1' } }, body: { name: 'oracle', sizeBytes: 16 * MIB, pool: 'fast' } };
const { volume } = good(await api.POST('/servers/{server}/volume-create', order));
const repeated = good(await api.POST('/servers/{server}/volume-create', order)).volume.id === volume.id;
const { error: exists } = await api.POST('/servers/{server}/volume-create', { params: { path }, body: order.body });
const { error: wrong } = await api.GET('/servers/{server}/volume-show', { params: { path, query: { name: '' } } });

good(await api.GET('/client/await-volume', { params: { query: { namespace: 'osl', server: 'big-9', id: volume.id ?? '' } } }));
const { outcomes } = good(await api.POST('/client/attach', { body: { names: ['oracle'] } }));
const shown = good(await api.GET('/servers/{server}/volume-show', { params: { path, query: { name: 'oracle' } } }));
const before = await bytes();
const snapshots = [{ name: 'oracle', universe: 0, snapshot: 'monday' }];
good(await api.POST('/servers/{server}/volume-snapshot', { params: { path }, body: { snapshots } }));
good(await api.POST('/servers/{server}/volume-grow', { params: { path }, body: { name: 'oracle', sizeBytes: 32 * MIB } }));
for (let tries = 0; tries < GROWTHS_MAX && (await bytes()) === before; tries++) {
  await new Promise((resolve) => setTimeout(resolve, GROWTH_PAUSE_MS));
}
const after = await bytes();

good(await api.POST('/client/detach', { body: { names: ['oracle'] } }));
const snapshot = { name: 'oracle', snapshot: 'monday' };
good(await api.POST('/servers/{server}/volume-snapshot-remove', { params: { path }, body: snapshot }));
good(await api.POST('/servers/{server}/volume-remove', { params: { path }, body: { name: 'oracle' } }));
const { volumes } = good(await api.GET('/servers/{server}/volume-list', { params: { path } }));
const { jobs } = good(await api.GET('/servers/{server}/job-list', { params: { path } }));
const noted = good(await api.GET('/client/events', { params: { query: { count: 100 } } }));
const events = typeof noted === 'string' ? [] : noted.events;

console.log(
  JSON.stringify({
    repeated,
    refusals: [exists?.code, wrong?.code, wrong?.parameter],
    outcomes: outcomes.map(({ volume: name, done }) => [name, done]),
    holders: shown.volume.holders?.map(({ node }) => node),
    mib: [before / MIB, after / MIB],
    left: [volumes.length, jobs.length],
    hasEvents: events.some(({ object }) => object.includes('oracle')),
  }),
);
`;

/** Compiles a program beside the generated types. If the compiler finds an error, the JavaScript of the last good program stays. */
function compile(folder: string, program: string): Promise<RunResult> {
  writeFileSync(path.join(folder, 'journey.ts'), program);
  return run(process.execPath, [COMPILER, ...OPTIONS, '--noEmitOnError', '--types', 'node', 'journey.ts'], { cwd: folder });
}

it('a generated client does the journey of the tutorial, and the compiler finds a wrong parameter in it', {
  timeout: TEST_MS,
}, async (context) => {
  const { client } = await startPoolPair(hosts, context);
  const deploy = await tokenOf(client, 'deploy', '--rights', 'operate');
  const url = `http://${WEB_ADDRESS}:${await startWeb(client, deploy)}/api/v1`;
  const folder = mkdtempSync(path.join(tmpdir(), 'rsio-generated-'));
  hosts.onClean(() => rmSync(folder, { recursive: true }));
  mkdirSync(path.join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(FETCH, path.join(folder, 'node_modules/openapi-fetch'));
  symlinkSync(fileURLToPath(new URL('../../node_modules/@types/node', import.meta.url)), path.join(folder, 'node_modules/@types/node'));
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');

  const document = await fetch(`${url}/openapi.json`, { headers: { Authorization: `Bearer ${deploy.token}` } });
  writeFileSync(path.join(folder, 'api.ts'), astToString(await openapiTs(await document.text())));

  wellOf('tsc', await compile(folder, JOURNEY));
  const misspelt = await compile(folder, JOURNEY.replace('body: { names:', 'body: { name:'));
  expect([misspelt.code, misspelt.stdout]).toEqual([1, expect.stringMatching(/^journey\.ts\(\d+,\d+\): error TS.*'name'/)]);
  const misread = await compile(folder, JOURNEY.replace('{ blocks, blockSizeBytes }', '{ block, blockSizeBytes }'));
  expect([misread.code, misread.stdout]).toEqual([1, expect.stringMatching(/^journey\.ts\(\d+,\d+\): error TS.*'block'/)]);

  const seen = wellOf('journey', await run(process.execPath, ['journey.js', url, deploy.token], { cwd: folder }));
  expect(JSON.parse(seen)).toEqual({
    repeated: true,
    refusals: ['E_EXISTS', 'E_USAGE', 'name'],
    outcomes: [['osl:oracle@0', true]],
    holders: ['big-2'],
    mib: [16, 32],
    left: [0, 0],
    hasEvents: true,
  });
});
