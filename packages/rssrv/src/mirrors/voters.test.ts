// Tests the records of a voter on a file system that loses unsynced data: the server stops at every step of every save, and starts again.
// Other tests check unreadable records, the rights of clients, and the bounds. voter-rules.test.ts tests the rules. Rules: Q1 to Q3, Q5,
// Q8, M1, G33.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { sealed } from '@rsio/base/files/sealed-text';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { unsealed } from '@rsio/base/testing/unsealed';
import { type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { VOTER_RECORDS_PER_CLIENT_MAX, VOTES_WAITING_MAX } from './limits.ts';
import type { VoteReply, VoteRequest } from './session-votes.ts';
import { Voters } from './voters.ts';

/**
 * A simulated disk that stops at a chosen step. After the stop, only synced data is left. If `keepsNames` is true, renames that were not
 * synced also survive.
 */
const disk = vi.hoisted(() => ({
  stepsLeft: Number.POSITIVE_INFINITY,
  steps: 0,
  keepsNames: true,
  unsynced: new Set<string>(),
  names: new Map<string, string | null>(),
}));

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const step = (): void => {
    disk.steps++;
    if (--disk.stepsLeft <= 0) throw Object.assign(new Error('The disk has stopped'), { code: 'EIO' });
  };
  const contentOf = async (file: string): Promise<string | null> => real.readFile(file, 'utf8').catch(() => null);
  return {
    ...real,
    open: async (file: string, ...rest: readonly never[]) => {
      step();
      const handle = await real.open(file, ...rest);
      const isFolder = (await handle.stat()).isDirectory();
      return {
        writeFile: async (text: string) => {
          step();
          disk.unsynced.add(file);
          await handle.writeFile(text);
        },
        sync: async () => {
          step();
          if (isFolder) disk.names.clear();
          else disk.unsynced.delete(file);
          await handle.sync();
        },
        close: () => handle.close(),
      };
    },
    rename: async (from: string, to: string) => {
      step();
      if (!disk.names.has(to)) disk.names.set(to, await contentOf(to));
      await real.rename(from, to);
      disk.unsynced.delete(to);
      if (disk.unsynced.delete(from)) disk.unsynced.add(to);
    },
    rm: async (file: string, ...rest: readonly never[]) => {
      step();
      if (!disk.names.has(file)) disk.names.set(file, await contentOf(file));
      await real.rm(file, ...rest);
    },
  };
});

/** Simulates a power failure and a restart of the machine. */
function powerCut(): void {
  if (!disk.keepsNames)
    for (const [file, content] of disk.names) {
      if (content === null) fs.rmSync(file, { force: true });
      else fs.writeFileSync(file, content);
    }
  for (const file of disk.unsynced) if (fs.existsSync(file) && !disk.names.has(file)) fs.writeFileSync(file, '');
  disk.names.clear();
  disk.unsynced.clear();
  disk.stepsLeft = Number.POSITIVE_INFINITY;
}

const MIRROR = '0123456789abcdef0123456789abcdef';
const IDENTITY = 'a'.repeat(32);
const ME = { node: 'big-1', instance: 7 };
const OTHER = { node: 'big-2', instance: 3 };
const STRANGER = 'big-7';

let folder = '';
let logged: string[] = [];
let mayFound = true;
let hasReplica = false;
let bar: string | null = null;
const replicas = { has: () => hasReplica, isHidden: () => false, whyNoTakeOver: () => bar };

beforeEach(() => {
  folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'rsio-voters-')), 'voters');
  logged = [];
  mayFound = true;
  hasReplica = false;
  bar = null;
});

afterEach(() => {
  powerCut();
  return removeFolder(path.dirname(folder));
});

async function started(): Promise<Voters> {
  const say = (text: string): void => void logged.push(text);
  const voters = new Voters({
    folder,
    log: { info: say, warn: say, error: say },
    replicas,
    mayFound: (node) => mayFound && node !== STRANGER,
  });
  await voters.load();
  return voters;
}

const found = (mirror = MIRROR): VoteRequest => ({ what: 'vote', vote: 'found', mirror, name: 'db', universe: 0 });
const claims = (number: number, takesOver = false): VoteRequest => ({ what: 'vote', vote: 'claim', mirror: MIRROR, number, takesOver });
const stores = (number: number, k: number, clean = false): VoteRequest => ({
  what: 'vote',
  vote: 'config',
  mirror: MIRROR,
  number,
  config: {
    k,
    clean,
    clients: null,
    inSync: [IDENTITY],
    voters: [{ voter: IDENTITY, serverid: 1 }],
    nextVoters: null,
    sizeBytes: 4096,
    members: [{ identity: IDENTITY, serverid: 1, volume: 'db', universe: 0 }],
  },
});
const asks: VoteRequest = { what: 'vote', vote: 'record', mirror: MIRROR };
const confirms = (number: number): VoteRequest => ({ what: 'vote', vote: 'confirm', mirror: MIRROR, number });
const dismisses = (number: number): VoteRequest => ({ what: 'vote', vote: 'dismiss', mirror: MIRROR, number });

function ask(voters: Voters, request: VoteRequest, client = ME): Promise<VoteReply> {
  return voters.answer(client, request, () => true);
}

async function voted(voters: Voters, request: VoteRequest, client = ME): Promise<VoteAnswer> {
  const reply = await ask(voters, request, client);
  if ('voteStatus' in reply) throw new Error(reply.sentence);
  return reply;
}

test('a record of the version without replicas is read if it has no configuration; another one is refused and kept', async () => {
  const voter = IDENTITY;
  const record = { mirror: MIRROR, name: 'db', universe: 0, voter, founder: 'big-1', promise: { number: 3, ...ME }, stored: null };
  const { config: present } = stores(3, 1) as Extract<VoteRequest, { vote: 'config' }>;
  const { nextVoters: _none, sizeBytes: _unknown, ...config } = present;
  const file = path.join(folder, `${MIRROR}.json`);
  fs.mkdirSync(folder, { recursive: true });
  for (const [stored, outcome] of [
    [null, VOTED.DONE],
    [{ term: record.promise, config }, VOTED.UNKNOWN],
  ] as const) {
    const text = JSON.stringify({ version: 1, content: { ...record, stored } });
    fs.writeFileSync(file, text);
    const voters = await started();
    expect(await voted(voters, asks)).toMatchObject({ voted: outcome });
    expect(fs.readFileSync(file, 'utf8')).toBe(text);
  }
  expect(logged).toEqual([expect.stringMatching(/does not vote.*not of the expected form \(.*\): remove it with rsadm witness remove/)]);
});

test('what was answered is there after a restart, and the voter is the same', async () => {
  let voters = await started();
  const { voter } = await voted(voters, found());
  await voted(voters, claims(5));
  await voted(voters, stores(5, 1));
  voters = await started();
  const record = await voted(voters, asks);
  expect(record).toMatchObject({ voter, promise: { number: 5, ...ME }, stored: { term: { number: 5 }, config: { k: 1 } } });
  expect((await voted(voters, claims(4, true), OTHER)).voted).toBe(VOTED.SUPERSEDED);
});

test('after a restart, a term still belongs to the data process that has claimed it', async () => {
  const [second, third] = [
    { ...ME, dataProcess: 2 },
    { ...ME, dataProcess: 3 },
  ];
  let voters = await started();
  await voted(voters, found());
  await voted(voters, claims(5), second);
  voters = await started();
  for (const [request, client] of [
    [claims(5, true), third],
    [stores(5, 1), ME],
  ] as const)
    expect((await voted(voters, request, client)).voted).toBe(VOTED.SUPERSEDED);
  expect((await voted(voters, stores(5, 1), second)).voted).toBe(VOTED.DONE);
  expect((await voted(voters, claims(6))).voted).toBe(VOTED.DONE);
  voters = await started();
  expect((await voted(voters, claims(6), second)).voted).toBe(VOTED.SUPERSEDED);
});

test('what a voter says after its process was killed stays, although the folder was not synced before', async () => {
  disk.keepsNames = false;
  for (const request of [claims(9), stores(5, 2)]) {
    let seen = 0;
    for (let at = 1; ; at++) {
      fs.rmSync(folder, { recursive: true, force: true });
      disk.names.clear();
      let voters = await started();
      for (const earlier of [found(), claims(5), stores(5, 1)]) expect((await voted(voters, earlier)).voted).toBe(VOTED.DONE);
      const before = await voted(voters, asks);
      disk.stepsLeft = at;
      const reply = await ask(voters, request);
      disk.stepsLeft = Number.POSITIVE_INFINITY;
      voters = await started();
      const said = await voted(voters, asks);
      if (said.promise?.number !== before.promise?.number || said.stored?.config.k !== before.stored?.config.k) seen++;
      powerCut();
      voters = await started();
      expect(await voted(voters, asks)).toEqual(said);
      if (!('voteStatus' in reply)) break;
    }
    // A save that fails may nevertheless leave the new record on disk. The test must therefore see the new record twice: after a failed
    // save, and after the answer.
    expect(seen).toBeGreaterThan(1);
  }
});

const HISTORY: readonly VoteRequest[] = [found(), claims(5), stores(5, 1), stores(5, 2), claims(9), stores(9, 1, true), dismisses(9)];

test.each([true, false])('the server stops at every step of every change; names that were not synced stay: %s', async (keepsNames) => {
  disk.keepsNames = keepsNames;
  let stops = 0;
  for (const [index, request] of HISTORY.entries()) {
    for (let at = 1; ; at++) {
      fs.rmSync(folder, { recursive: true, force: true });
      disk.names.clear();
      let voters = await started();
      for (const earlier of HISTORY.slice(0, index)) expect((await voted(voters, earlier)).voted).toBe(VOTED.DONE);
      const before = index === 0 ? null : await voted(voters, asks);
      disk.stepsLeft = at;
      const reply = await ask(voters, request);
      const hasStopped = 'voteStatus' in reply;
      powerCut();
      voters = await started();
      const after = await voted(voters, asks);
      expect(voters.views.filter(({ trouble }) => trouble !== null)).toEqual([]);
      if (!hasStopped) {
        // The request was answered before the stop, so the decision in the answer must be on disk.
        if (request.vote === 'dismiss') expect(after.voted).toBe(VOTED.UNKNOWN);
        else expect(after).toMatchObject({ voter: reply.voter, promise: reply.promise, stored: reply.stored });
        break;
      }
      stops++;
      expect(reply.voteStatus).toBe(STATUS.IO_ERROR);
      // The request was not answered before the stop: either the old record or the new record is complete on disk, and the repeated request
      // succeeds.
      if (before !== null && after.voted === VOTED.DONE) expect(after.voter).toBe(before.voter);
      const again = await voted(voters, request);
      expect(again.voted).toBe(request.vote === 'dismiss' && after.voted === VOTED.UNKNOWN ? VOTED.UNKNOWN : VOTED.DONE);
    }
  }
  expect(stops).toBeGreaterThan(HISTORY.length * 2);
});

test('after a failed save the old record counts, and the next save succeeds', async () => {
  const voters = await started();
  await voted(voters, found());
  await voted(voters, claims(5));
  await voted(voters, stores(5, 1));
  disk.stepsLeft = 2;
  expect(await ask(voters, claims(8, true), OTHER)).toEqual({
    voteStatus: STATUS.IO_ERROR,
    sentence: expect.stringContaining('see its log'),
  });
  disk.stepsLeft = Number.POSITIVE_INFINITY;
  expect((await voted(voters, confirms(5))).voted).toBe(VOTED.DONE);
  expect((await voted(voters, claims(6, true), OTHER)).voted).toBe(VOTED.DONE);
  expect((await voted(await started(), confirms(6), OTHER)).voted).toBe(VOTED.DONE);
});

test.each([
  ['no JSON', () => '{'],
  ['another version', (text: string) => text.replace('"version":2', '"version":9')],
  ['the record of another mirror', (text: string) => text.replaceAll(MIRROR, 'f'.repeat(32))],
  ['a configuration above the promise', (text: string) => text.replace('"promise":{"number":5', '"promise":{"number":4')],
  ['an unknown field', (text: string) => text.replace('"founder"', '"more":1,"founder"')],
  ['a wrong checksum', (text: string) => sealed(text).replace('"number":5', '"number":6')],
  ['no promise', (text: string) => text.replace(/"promise":\{[^}]*\}/, '"promise":null')],
])('a file with %s makes the voter unknown until an administrator removes it', async (_, damage) => {
  let voters = await started();
  const { voter } = await voted(voters, found());
  await voted(voters, claims(5));
  await voted(voters, stores(5, 1));
  const file = path.join(folder, `${MIRROR}.json`);
  fs.writeFileSync(file, damage(unsealed(fs.readFileSync(file, 'utf8'))));
  voters = await started();
  expect(logged.at(-1)).toContain(`does not vote for mirror ${MIRROR}`);
  for (const request of [asks, found(), claims(9, true), stores(5, 2), confirms(5), dismisses(5)])
    expect(await voted(voters, request)).toMatchObject({ voted: VOTED.UNKNOWN, voter: null, promise: null });
  expect(voters.views).toMatchObject([{ mirror: MIRROR, record: null, trouble: expect.stringContaining('rsadm witness remove') }]);
  expect(await voters.remove(MIRROR)).toBe(true);
  const anew = await voted(voters, found());
  expect(anew.voted).toBe(VOTED.DONE);
  expect(anew.voter).not.toBe(voter);
});

test('other files in the folder are no records', async () => {
  fs.mkdirSync(folder, { recursive: true });
  for (const name of ['notes.json', `${MIRROR}.json.new`, `${MIRROR.toUpperCase()}.json`]) fs.writeFileSync(path.join(folder, name), 'x');
  expect((await started()).views).toEqual([]);
});

test('a client that the configuration does not name learns nothing', async () => {
  const voters = await started();
  await voted(voters, found());
  for (const request of [asks, claims(9, true), confirms(1), dismisses(1)])
    expect(await voted(voters, request, OTHER)).toMatchObject({ voted: VOTED.UNKNOWN, voter: null, promise: null, stored: null });
  expect(await voted(voters, found(), OTHER)).toMatchObject({ voted: VOTED.DIFFERENT });
});

test('the answer to a CONFIRM has no configuration', async () => {
  const voters = await started();
  await voted(voters, found());
  await voted(voters, claims(5));
  await voted(voters, stores(5, 1));
  expect(await voted(voters, confirms(5))).toMatchObject({ voted: VOTED.DONE, promise: { number: 5 }, stored: null });
  expect((await voted(voters, confirms(6))).voted).toBe(VOTED.UNCLAIMED);
});

test('a client that may not found records is refused, and others are not', async () => {
  const voters = await started();
  const reply = await voted(voters, found(), { node: STRANGER, instance: 1 });
  expect(reply).toMatchObject({ voted: VOTED.REFUSED, sentence: expect.stringMatching(/client big-7 .*witness = yes.*manage/) as string });
  expect((await voted(voters, found())).voted).toBe(VOTED.DONE);
});

test('a server on which nobody may found records goes on voting', async () => {
  const voters = await started();
  await voted(voters, found());
  mayFound = false;
  expect((await voted(voters, claims(5))).voted).toBe(VOTED.DONE);
  expect((await voted(voters, found('f'.repeat(32)))).voted).toBe(VOTED.REFUSED);
  expect(voters.views).toHaveLength(1);
});

test('a client founds at most its share, all at once', async () => {
  const voters = await started();
  const ids = Array.from({ length: VOTER_RECORDS_PER_CLIENT_MAX + 5 }, (_, index) => index.toString(16).padStart(32, '0'));
  const replies = await Promise.all(ids.map((id) => voted(voters, found(id))));
  expect(replies.filter((reply) => reply.voted === VOTED.DONE)).toHaveLength(VOTER_RECORDS_PER_CLIENT_MAX);
  expect((await voted(voters, found('f'.repeat(32)), OTHER)).voted).toBe(VOTED.DONE);
});

test('requests about one mirror wait in a bounded queue', async () => {
  const voters = await started();
  await voted(voters, found());
  await voted(voters, claims(5));
  const replies = await Promise.all(Array.from({ length: VOTES_WAITING_MAX + 3 }, () => voted(voters, confirms(5))));
  expect(replies.map((reply) => reply.voted).filter((one) => one === VOTED.REFUSED)).toHaveLength(3);
});

test('nothing is begun for a session that has ended', async () => {
  const voters = await started();
  await voted(voters, found());
  expect(await voters.answer(ME, claims(5), () => false)).toMatchObject({ voteStatus: STATUS.SHUTTING_DOWN });
  expect(await voted(voters, asks)).toMatchObject({ promise: null });
});

test('the file of the server with the replica says who may take the mirror from another client', async () => {
  const voters = await started();
  await voted(voters, found());
  await voted(voters, claims(1));
  await voted(voters, stores(1, 1));
  bar = 'to let client venus take it over, rsadm volume set db take-over=big-2,venus on this server';
  expect(await voted(voters, claims(2, true), OTHER)).toMatchObject({ voted: VOTED.HELD, sentence: expect.stringContaining(bar) });
  expect(await voted(voters, claims(2, true)), 'its own client needs no right').toMatchObject({ voted: VOTED.DONE });
  await voted(voters, stores(2, 1, true));
  expect(await voted(voters, claims(3), OTHER), 'it was detached').toMatchObject({ voted: VOTED.DONE });
});

test('a record is not dismissed while the server has a replica, which would then be open to lower terms', async () => {
  const voters = await started();
  await voted(voters, found());
  await voted(voters, claims(1));
  hasReplica = true;
  expect(await voted(voters, dismisses(1))).toMatchObject({ voted: VOTED.REFUSED });
  expect(await voted(voters, asks)).toMatchObject({ voted: VOTED.DONE });
  hasReplica = false;
  expect(await voted(voters, dismisses(1))).toMatchObject({ voted: VOTED.DONE });
});

test('the records are listed in the order of their mirrors, and each only once it is on disk', async () => {
  const voters = await started();
  const [first, second, third] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string];
  for (const mirror of [second, third]) await voted(voters, found(mirror));
  const founding = voted(voters, found(first));
  const listed = () => voters.views.map(({ mirror, record, trouble }) => [mirror, record?.name, trouble]);
  const early = [second, third].map((mirror) => [mirror, 'db', null]);
  expect(listed()).toEqual(early);
  await founding;
  expect(listed()).toEqual([[first, 'db', null], ...early]);
});
