// Tests which server gets a request, and the errors if several servers or no server can be meant. The namespaces and servers are fakes.
// Real servers are tested in test/integration/client-volumes.test.ts.

import { CONTROL_ANSWER_MS, SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { RsError } from '@rsio/base/lib/errors';
import { describe, expect, test } from 'vitest';
import type { Namespace } from '../network/namespace.ts';
import type { Server } from '../network/server.ts';
import { SERVER_CALLS_MAX } from './limits.ts';
import { ServerCalls } from './server-calls.ts';

type Answer = (server: string, method: string, params: object, limitMs: number) => Promise<unknown>;

function serverOf(name: string, isConnected = true, isProved = true): Server {
  return {
    name,
    serverid: 7,
    volumes: [],
    isConnected,
    isProved,
    whenListed: (id: string) => Promise.resolve(id === 'there'),
  } as unknown as Server;
}

/** `unreached`: names of `[server]` sections whose servers the client has not reached. */
function namespaceOf(
  name: string,
  servers: readonly Server[],
  unreached: readonly string[] = [],
  lastError: string | null = null,
): Namespace {
  const sections = [...servers.map((server) => server.name), ...unreached].map((section, position) => ({ name: section, position }));
  return {
    config: { name, namespaceid: 1, servers: sections },
    orderedServers: servers,
    serveridOf: () => 7,
    serversBySection: () => new Map(servers.map((server, position) => [position, server])),
    routes: sections.map(({ position }) => ({
      server: servers[position] ?? null,
      remote: { position },
      supervisor: { lastErrorSentence: lastError },
    })),
  } as unknown as Namespace;
}

const NO_WORDS = { has: () => false, said: async () => {}, shown: async () => {}, changes: async () => {} };
const DONE: Answer = async () => ({ done: true });

function calls(
  namespaces: readonly Namespace[],
  answer: Answer = DONE,
  said: string[] = [],
  absences: ConstructorParameters<typeof ServerCalls>[0]['absences'] = NO_WORDS,
): ServerCalls {
  for (const server of namespaces.flatMap(({ orderedServers }) => orderedServers))
    server.callAdmin = (...call) => answer(server.name, ...call);
  return new ServerCalls({
    absences,
    log: { info: (text: string) => void said.push(text) },
    namespaces: { list: namespaces },
  });
}

const REQUEST = { namespace: null, server: null, method: 'volume-show', params: { name: 'oracle', universe: 0 }, waitMs: null };

test('the request is passed on unchanged, with the time of the method, and the answer says from which server it is', async () => {
  const heard: unknown[] = [];
  const said: string[] = [];
  const answer: Answer = async (...call) => {
    heard.push(call);
    return { volume: 1 };
  };
  const server = calls([namespaceOf('osl', [serverOf('big-9')])], answer, said);
  expect(await server.call(REQUEST)).toEqual({ namespace: 'osl', server: 'big-9', result: { volume: 1 } });
  await server.call({ ...REQUEST, method: 'volume-create', params: { request: 'id-7' } });
  await server.call({ ...REQUEST, method: 'of-a-newer-server', params: {} });
  await server.call({ ...REQUEST, waitMs: 1_500 });
  expect(heard).toEqual([
    ['big-9', 'volume-show', REQUEST.params, CONTROL_ANSWER_MS],
    ['big-9', 'volume-create', { request: 'id-7' }, SERVER_CHANGE_MS],
    ['big-9', 'of-a-newer-server', {}, SERVER_CHANGE_MS],
    ['big-9', 'volume-show', REQUEST.params, 1_500],
  ]);
  expect(said).toEqual(['Change "volume-create" is passed on to server big-9 of osl']);
});

describe('the choice', () => {
  const namespaces = [namespaceOf('osl', [serverOf('big-9'), serverOf('big-8')]), namespaceOf('lab', [serverOf('big-9')])];

  test.each<[string | null, string | null, string]>([
    ['osl', 'big-9', 'osl big-9'],
    ['osl', 'big-8', 'osl big-8'],
    [null, 'big-8', 'osl big-8'],
    ['lab', null, 'lab big-9'],
  ])('namespace %s, server %s', async (namespace, server, chosen) => {
    const answer = await calls(namespaces).call({ ...REQUEST, namespace, server });
    expect(`${answer.namespace} ${answer.server}`).toBe(chosen);
  });

  test.each<[string | null, string | null, string, string]>([
    [null, null, 'E_AMBIGUOUS', 'The request is for one server, and there are big-9 of osl, big-8 of osl, big-9 of lab: choose one with'],
    ['osl', null, 'E_AMBIGUOUS', 'The request is for one server, and there are big-9 of osl, big-8 of osl: choose one with --server'],
    [null, 'big-9', 'E_AMBIGUOUS', 'Server big-9 is one of big-9 of osl, big-9 of lab: choose one with --server and --namespace'],
    [null, 'big-7', 'E_USAGE', 'There is no server "big-7": known are big-9 of osl, big-8 of osl, big-9 of lab'],
    ['lab', 'big-8', 'E_USAGE', 'There is no server "big-8" in namespace "lab": known are'],
    ['prod', null, 'E_USAGE', 'There is no server in namespace "prod": known are'],
  ])('namespace %s, server %s is refused: %s', async (namespace, server, code, message) => {
    const thrown = await refusal(calls(namespaces).call({ ...REQUEST, namespace, server }));
    expect({ code: thrown.code, message: thrown.message }).toEqual({ code, message: expect.stringContaining(message) });
  });

  test('a server that only claims its name is no candidate', async () => {
    const answer = await calls([namespaceOf('osl', [serverOf('big-9'), serverOf('evil', true, false)])]).call(REQUEST);
    expect(answer.server).toBe('big-9');
  });

  test('a name that rsiod cannot know yet is no wrong usage, so that a command may ask again', async () => {
    const starting = calls([namespaceOf('osl', [], ['big-9-1', 'big-9-2']), namespaceOf('lab', [serverOf('big-5')])]);
    expect(await refusal(starting.call({ ...REQUEST, namespace: 'osl', server: 'big-9' }))).toMatchObject({
      code: 'E_NO_PATH',
      message:
        'No server "big-9" in namespace "osl" was reached yet, and neither was big-9-1 of osl, big-9-2 of osl: rsconfig -m status -v shows the paths',
    });
    expect((await refusal(starting.call({ ...REQUEST, namespace: 'lab', server: 'big-9' }))).code).toBe('E_USAGE');
  });

  test('without any server the remedy is to join one', async () => {
    expect((await refusal(calls([]).call(REQUEST))).message).toBe('No server is configured: rsconfig join HOST adds one');
  });
});

test.each([
  [
    'was lost',
    namespaceOf('osl', [serverOf('big-9', false)], [], 'Connection refused'),
    'Server big-9 of osl is not connected (Connection refused)',
  ],
  ['was never reached', namespaceOf('osl', [], ['big-9-1']), 'Server big-9-1 of osl is not connected'],
])('nothing is sent to a server that %s', async (_, namespace, message) => {
  const sent: string[] = [];
  const server = calls([namespace], async (name) => void sent.push(name));
  expect(await refusal(server.call(REQUEST))).toMatchObject({
    code: 'E_NO_PATH',
    message: `${message}: rsconfig -m status -v shows its paths`,
  });
  expect(sent).toEqual([]);
});

test('a refusal of the server arrives as it is', async () => {
  const error = new RsError('E_RIGHTS', 'Client venus may not create volumes: its right is use', { node: 'venus' });
  expect(await refusal(calls([namespaceOf('osl', [serverOf('big-9')])], () => Promise.reject(error)).call(REQUEST))).toBe(error);
});

test('an answer that is no object is refused', async () => {
  const server = calls([namespaceOf('osl', [serverOf('big-9')])], async () => ['x']);
  expect((await refusal(server.call(REQUEST))).code).toBe('E_PROTOCOL');
});

test('the name of a method is bounded', async () => {
  const server = calls([namespaceOf('osl', [serverOf('big-9')])]);
  expect((await refusal(server.call({ ...REQUEST, method: 'x'.repeat(65) }))).code).toBe('E_USAGE');
});

test('a silent server holds up its own requests only, and a place is free again after each end', async () => {
  const ends: (() => void)[] = [];
  const server = calls([namespaceOf('osl', [serverOf('big-9'), serverOf('big-8')])], (name) =>
    name === 'big-8' ? Promise.resolve({}) : new Promise((resolve) => ends.push(() => resolve({}))),
  );
  const silent = Array.from({ length: SERVER_CALLS_MAX }, () => server.call({ ...REQUEST, server: 'big-9' }));
  const refused = await refusal(server.call({ ...REQUEST, server: 'big-9' }));
  expect(refused).toMatchObject({ code: 'E_LIMIT', message: expect.stringContaining('try again when one of them has ended') });
  expect((await server.call({ ...REQUEST, server: 'big-8' })).server).toBe('big-8');
  ends.shift()?.();
  await silent[0];
  const next = server.call({ ...REQUEST, server: 'big-9' });
  for (const end of ends) end();
  expect((await next).server).toBe('big-9');
});

test('await-volume asks the server that is named', async () => {
  const server = calls([namespaceOf('osl', [serverOf('big-9')])]);
  expect(await server.awaitVolume({ namespace: 'osl', server: 'big-9', id: 'there' })).toEqual({ listed: true });
  expect(await server.awaitVolume({ namespace: 'osl', server: 'big-9', id: 'gone' })).toEqual({ listed: false });
  expect((await refusal(server.awaitVolume({ namespace: 'osl', server: 'big-1', id: 'there' }))).code).toBe('E_USAGE');
});

async function refusal(work: Promise<unknown>): Promise<RsError> {
  const thrown = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof RsError)) throw new Error(`Not refused: ${String(thrown)}`);
  return thrown;
}

test('a server whose second section was not reached is one server, and no message names it twice', async () => {
  const namespaces = [namespaceOf('osl', [serverOf('big-9')], ['big-9'])];
  expect(await calls(namespaces).call({ ...REQUEST, server: 'big-9' })).toMatchObject({ server: 'big-9' });
  const wrong = calls(namespaces).call({ ...REQUEST, server: 'big-7' });
  await expect(wrong).rejects.toMatchObject({ message: expect.not.stringMatching(/big-9.*big-9/) as string });
});
