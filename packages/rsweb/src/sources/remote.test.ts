// Tests the rsweb of another machine as a source, including a hostile rsweb. Each failing request ends within its bounds with a finding
// that has a remedy. Nothing is sent to other addresses, and a source that hangs delays no other source.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { programVersion } from '@rsio/base/lib/version';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Picture } from '../model/picture.ts';
import { samplePicture } from '../testing/sample-picture.ts';
import { Hub } from './hub.ts';
import { jsonTrouble } from './json-scan.ts';
import { REMOTE_ANSWER_MAX_BYTES } from '../limits.ts';
import { Remote } from './remote.ts';
import { NOTHING, type Source } from './source.ts';

let folder = '';
let server: Server;
let remote: Remote;
let asked: string[] = [];
let answer: RequestListener = () => {};

beforeEach(async () => {
  asked = [];
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-remote-'));
  const tokenFile = path.join(folder, 'token');
  writeFileSync(tokenFile, 'rsweb_token\n');
  server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  remote = new Remote({ name: 'mars', url: `http://127.0.0.1:${port}`, tokenFile, certificateAuthority: null }, systemClock);
});

afterEach(async () => {
  remote.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await removeFolder(folder);
});

function says(body: string, status = 200): RequestListener {
  return (_request, response) => void response.writeHead(status, { 'Content-Type': 'application/json' }).end(body);
}

const good = { format: 1, release: programVersion(), ...samplePicture() };

async function findingOf(listener: RequestListener): Promise<string> {
  answer = listener;
  const thrown: unknown = await remote.sample().then(
    () => new Error('It was taken'),
    (error: unknown) => error,
  );
  const picture = remote.failed(thrown, null);
  expect(picture.machines).toMatchObject([{ name: 'mars', isLocal: false, state: 'silent' }]);
  const [{ what, remedy, where } = { what: '', remedy: '', where: '' }] = picture.findings;
  expect(where).toBe('machine mars');
  return `${what}: ${remedy}`;
}

test('a good picture is taken, as that of one machine; the token is shown', async () => {
  answer = says(JSON.stringify(good));
  const picture = await remote.sample();
  expect(asked).toEqual(['/picture.json Bearer rsweb_token']);
  expect(picture.machines).toMatchObject([{ id: 'source mars', name: 'mars', isLocal: false }]);
  expect(new Set(picture.servers.map(({ machine }) => machine))).toEqual(new Set(['source mars']));
  expect(picture.volumes.length).toBe(good.volumes.length);
});

test('an answer that takes long to read is asked for seldom', async () => {
  answer = says(JSON.stringify(good));
  await remote.sample();
  expect(remote.restMs).toBeGreaterThan(0);
  answer = says('', 500);
  await expect(remote.sample()).rejects.toThrow();
  expect(remote.restMs).toBe(0);
});

describe('a finding with its remedy', () => {
  test.each<[string, RequestListener, RegExp]>([
    ['a wrong token', says('', 401), /refuses the token: Put one of its tokens into/],
    ['another name', says('', 421), /does not know its name: Add it to names/],
    ['something else', says('hello', 404), /answers with status 404/],
    ['no JSON', says('hello'), /cannot be used \(it is no JSON\)/],
    ['another shape', says(JSON.stringify({ ...good, volumes: 7 })), /cannot be used \(volumes is not a list\)/],
    ['another release', says(JSON.stringify({ ...good, format: 2, release: '9.9' })), /release 9\.9.*: Use one release for both/],
    ['depth', says('['.repeat(1_000_000)), /nested deeper than 12/],
    ['a redirect', (_, response) => void response.writeHead(302, { Location: 'http://127.0.0.2:1/' }).end(), /answers with status 302/],
    ['an end in the middle', (_, response) => void response.writeHead(200).write('{', () => response.destroy()), /cannot be reached/],
  ])('comes of %s', async (_, listener, expected) => {
    expect(await findingOf(listener)).toMatch(expected);
  });

  test('comes of an endless answer, of which no more than the bound is kept', async () => {
    let sentBytes = 0;
    const piece = Buffer.alloc(1 << 20, 0x20);
    const flood: RequestListener = (_, response) => {
      response.on('error', () => {});
      const more = (): void => {
        while (!response.destroyed && response.write(piece)) sentBytes += piece.length;
      };
      response.writeHead(200).on('drain', more);
      more();
    };
    expect(await findingOf(flood)).toMatch(/more than 8388608 bytes/);
    expect(sentBytes).toBeLessThan(REMOTE_ANSWER_MAX_BYTES * 2);
  });

  test('comes of a machine where nothing runs', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await findingOf(() => {})).toMatch(/does not run: Start rsweb there/);
    server.listen(0, '127.0.0.1');
  });
});

test('what was known stays, and is marked as silent', () => {
  const before = samplePicture({ isWell: true });
  const { servers, volumes, findings } = remote.failed(new Error('x'), before);
  expect(servers.filter(({ machine }) => machine !== null).every(({ state }) => state === 'down')).toBe(true);
  expect(volumes.every(({ state }) => state === 'unavailable')).toBe(true);
  expect(findings.length).toBe(1);
});

test('a text is measured before it is parsed', () => {
  const troubleOf = (text: string): string | null => jsonTrouble(Buffer.from(text));
  expect(troubleOf(JSON.stringify(good))).toBeNull();
  expect(troubleOf('{"a":"[[[[[[[[[[[[[[[[[[[[\\"[[["}')).toBeNull();
  expect(troubleOf('[[]]'.repeat(300_000))).toMatch(/more than 200000 lists/);
  expect(troubleOf('1,'.repeat(1_000_001))).toMatch(/more than 1000000 values/);
});

describe('the hub', () => {
  const part = (name: string): Picture => ({
    ...NOTHING,
    servers: samplePicture()
      .servers.map((one) => ({ ...one, id: name, name }))
      .slice(0, 1),
  });

  function source(name: string, isOwn: boolean, sample: () => Promise<Picture | null>): Source {
    const told = { ...part(name), servers: [] };
    return { name, isOwn, restMs: 0, sample, failed: () => told, close: () => {} };
  }

  test('does not wait for a source that hangs, and tells others of its own sources only', async () => {
    const clock = new FakeClock();
    const seen: Picture[] = [];
    const hub = new Hub(
      clock,
      () => false,
      (picture) => seen.push(picture),
    );
    hub.take([
      source('hangs', false, () => new Promise(() => {})),
      source('fails', false, () => Promise.reject(new Error('x'))),
      source('absent', true, () => Promise.resolve(null)),
      source('far', false, () => Promise.resolve(part('far'))),
      source('own', true, () => Promise.resolve(part('own'))),
    ]);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1_000);
    expect(seen.at(-1)?.servers.map(({ name }) => name)).toEqual(['far', 'own']);
    expect(hub.ownPicture().servers.map(({ name }) => name)).toEqual(['own']);
    hub.close();
  });

  test('asks each source once at a time, each second while somebody looks, and each five seconds otherwise', async () => {
    const clock = new FakeClock();
    let [asks, open, most] = [0, 0, 0];
    const sample = async (): Promise<Picture> => {
      asks++;
      most = Math.max(most, ++open);
      await Promise.resolve();
      open--;
      return NOTHING;
    };
    const hub = new Hub(
      clock,
      () => false,
      () => {},
    );
    const pass = async (seconds: number): Promise<number> => {
      const before = asks;
      for (let at = 0; at < seconds; at++) {
        clock.advance(1_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return asks - before;
    };
    hub.take([source('own', true, sample)]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await pass(20)).toBe(4);
    hub.look();
    expect(await pass(10)).toBeGreaterThanOrEqual(9);
    expect(await pass(40)).toBeLessThan(20);
    expect(most).toBe(1);
    hub.close();
  });

  test('leaves a source alone that was costly, also after an order and while somebody looks', async () => {
    let asks = 0;
    const clock = new FakeClock();
    const hub = new Hub(
      clock,
      () => true,
      () => {},
    );
    hub.take([{ ...source('costly', false, () => Promise.resolve((asks++, NOTHING))), restMs: 7_000 }]);
    for (let second = 0; second < 6; second++) {
      await new Promise((resolve) => setImmediate(resolve));
      hub.renew();
      clock.advance(1_000);
    }
    expect(asks).toBe(1);
    clock.advance(1_000);
    expect(asks).toBe(2);
    hub.close();
  });

  test('asks its sources at once after an order, and they forget what they kept', async () => {
    let [asks, renewals] = [0, 0];
    const own = source('own', true, () => Promise.resolve((asks++, NOTHING)));
    const hub = new Hub(
      new FakeClock(),
      () => true,
      () => {},
    );
    hub.take([{ ...own, renew: () => void renewals++ }, source('other', false, () => Promise.resolve(NOTHING))]);
    await new Promise((resolve) => setImmediate(resolve));
    hub.renew();
    expect([asks, renewals]).toEqual([2, 1]);
    hub.close();
  });
});
