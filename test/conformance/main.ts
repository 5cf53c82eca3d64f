// `npm run conformance`: runs the cases in which a client tests a server, against a server at any address. The program prints a table, and
// the last line `N passed, N failed`. Invariant: the suite writes only to the given volume. If this volume is not empty, the suite writes
// only with --yes.

import dgram from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { decodeDiscovery, encodeDiscover } from '@rsio/protocol/explorer/discovery-datagram';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { NAMESPACEID_MAX, PORT_MAX, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { DISCOVERY_NONCE_BYTES, DISCOVERY_REQUEST_BYTES, DISCOVERY_WAIT_MS } from '@rsio/protocol/explorer/limits';
import { IO_MAX_SECTORS } from '@rsio/protocol/wire/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { RawClient } from '../support/peers/raw-peer.ts';
import { type Outcome, runCases } from './engine.ts';
import { SERVER_CASES } from './server-cases.ts';
import { BLOCK, Target, type TargetOptions, VOLUME_MIN_SECTORS } from './base/target.ts';

const HELP = `usage: npm run conformance -- --server ADDRESS:PORT --node N --key K --volume V [OPTION...]
       npm run conformance -- --list

Checks a server against every rule of docs/PROTOCOL.md.

  --server ADDRESS:PORT  interface of the server
  --node N --key K       client name and key, not in use elsewhere; two more pairs enable more cases
  --volume V             volume to use: the test OVERWRITES it and leaves it full of zeros; at least 4 MiB, type file or block,
                         not held by any client
  --namespaceid N        number of the namespace; default: found by exploration
  --serverkey K          required if the server has one
  --namespacekey K       required if the namespace has one
  --read-only-volume V   read-only volume; this one and the next three enable more cases
  --block-volume V       volume with 4096-byte blocks; a conforming server does not change it
  --foreign-volume V     volume that only other clients may use
  --shared-volume V      volume with shared = yes; the test OVERWRITES it
  --replica-volume V     free volume in a pool, which the first node may manage; the test OVERWRITES it;
                         with --witness, enables more cases
  --witness              the server has witness = yes: enables more cases
  --only PREFIX          run only the cases whose name begins with PREFIX
  --yes                  overwrite a volume that is not empty
  --list                 list all cases, each with its section of docs/PROTOCOL.md

From an address outside 127/8, run it at most once per minute, because a server refuses an address after too many
failed proofs.
`;

const OPTIONS = {
  server: { type: 'string' },
  node: { type: 'string', multiple: true },
  key: { type: 'string', multiple: true },
  volume: { type: 'string' },
  namespaceid: { type: 'string' },
  serverkey: { type: 'string' },
  namespacekey: { type: 'string' },
  'read-only-volume': { type: 'string' },
  'block-volume': { type: 'string' },
  'foreign-volume': { type: 'string' },
  'shared-volume': { type: 'string' },
  'replica-volume': { type: 'string' },
  witness: { type: 'boolean' },
  only: { type: 'string' },
  yes: { type: 'boolean' },
  list: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

function needed(values: Values, name: 'server' | 'volume'): string {
  const value = values[name];
  if (value === undefined) throw new RsError('E_USAGE', `--${name} is missing: see --help`);
  return value;
}

function wholeNumber(text: string | undefined, what: string, max: number): number {
  if (text === undefined || !/^\d{1,5}$/.test(text) || Number(text) > max) {
    throw new RsError('E_USAGE', `${what} is no number from 0 to ${max}: see --help`);
  }
  return Number(text);
}

function valuesOf(): Values {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new RsError('E_USAGE', `${toRsError(error).message}: see --help`);
  }
}

async function optionsOf(values: Values): Promise<TargetOptions> {
  const [, address = '', port] = /^\[?(.+?)\]?:(\d+)$/.exec(needed(values, 'server')) ?? [];
  if (isIP(address) === 0) throw new RsError('E_USAGE', '--server must be an IP address, a colon and a port');
  const { node = [], key = [], serverkey = null, namespacekey = null } = values;
  if (node.length === 0 || node.length !== key.length) throw new RsError('E_USAGE', '--node and --key come in pairs, one at least');
  const server = { address, port: wholeNumber(port, 'The port of --server', PORT_MAX) };
  const { namespaceid } = values;
  return {
    ...server,
    namespaceid: namespaceid === undefined ? await askNamespaceid(server) : wholeNumber(namespaceid, '--namespaceid', NAMESPACEID_MAX),
    serverkey,
    namespacekey,
    nodes: node.map((name, index) => ({ node: name, nodekey: key[index] ?? '' })),
    volumes: {
      plain: needed(values, 'volume'),
      constant: values['read-only-volume'] ?? null,
      blocks: values['block-volume'] ?? null,
      foreign: values['foreign-volume'] ?? null,
      shared: values['shared-volume'] ?? null,
      replica: values['replica-volume'] ?? null,
    },
    isWitness: values.witness === true,
    control: null,
  };
}

/** Asks the server by discovery for the number of its namespace. Throws E_TIMEOUT if the server does not answer. */
async function askNamespaceid({ address, port }: { address: string; port: number }): Promise<number> {
  const socket = dgram.createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
  try {
    const answer = new Promise<number>((resolve) => {
      socket.on('message', (datagram) => {
        const decoded = decodeDiscovery(datagram, null);
        if (decoded.kind === 'offer') resolve(decoded.message.namespaceid);
      });
    });
    // If no program listens on the port, the socket gets an error. The error is ignored, because the wait for an answer ends at its
    // deadline anyway.
    socket.on('error', () => undefined);
    const request = { versions: [1], nonce: randomBytes(DISCOVERY_NONCE_BYTES), namespaceid: null, answerBytes: 0 };
    socket.send(encodeDiscover(request, null, DISCOVERY_REQUEST_BYTES), port, address);
    const namespaceid = await Promise.race([answer, sleep(DISCOVERY_WAIT_MS, null)]);
    if (namespaceid === null) throw new RsError('E_TIMEOUT', `${address} port ${port} does not answer exploration: give --namespaceid`);
    return namespaceid;
  } finally {
    socket.close();
  }
}

/** Checks the sectors that the suite would overwrite. Throws E_IN_USE if the sectors are not empty. */
async function expectEmpty(options: TargetOptions): Promise<void> {
  const client = await RawClient.begin({ address: options.address, port: options.port }, new Target(options).identity());
  try {
    const { handle, sizeBytes } = await client.open(options.volumes.plain, true).catch((error: unknown) => {
      throw new RsError('E_VOLUME', toRsError(error).message);
    });
    const isEmpty = await isFullOfZeros(client, handle, sizeBytes / SECTOR_BYTES);
    await client.call({ op: OP.CLOSE, handle });
    if (!isEmpty) throw new RsError('E_IN_USE', `Volume ${options.volumes.plain} is not empty: --yes overwrites what is on it`);
  } finally {
    client.close();
  }
}

/** Whether the sectors that the suite writes to contain zeros. A volume that is too small is refused later. */
async function isFullOfZeros(client: RawClient, handle: number, sectors: number): Promise<boolean> {
  const places = [{ lba: sectors - BLOCK, count: BLOCK }];
  for (let lba = 0; lba < Math.min(VOLUME_MIN_SECTORS, sectors); lba += IO_MAX_SECTORS) {
    places.push({ lba, count: Math.min(IO_MAX_SECTORS, sectors - lba) });
  }
  for (const place of places) {
    const { body } = await client.call({ op: OP.READ, handle, ...place });
    if (body.length === 0 || body.some((byte) => byte !== 0)) return false;
  }
  return true;
}

function print({ kind, id, expects, reason }: Outcome): void {
  const line = `${kind.padEnd(5)}${id.padEnd(ID_COLUMNS)}${expects}`;
  console.log(reason === '' ? line : `${line}\n     ${escapeControls(reason)}`);
}

const ID_COLUMNS = 2 + Math.max(...SERVER_CASES.map(({ id }) => id.length));

async function main(): Promise<number> {
  const values = valuesOf();
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const cases = SERVER_CASES.filter(({ id }) => id.startsWith(values.only ?? ''));
  if (values.list === true) {
    for (const { id, section, expects } of cases) console.log(`${id.padEnd(ID_COLUMNS)}${expects} [${section}]`);
    return 0;
  }
  const options = await optionsOf(values);
  if (values.yes !== true) await expectEmpty(options);
  const { plain, shared } = options.volumes;
  console.log(`Writing to volume ${plain} of ${options.address} port ${options.port}${shared === null ? '' : `, and to ${shared}`}`);
  const counts = { ok: 0, FAIL: 0, skip: 0 };
  await runCases(cases, options, (outcome) => {
    counts[outcome.kind]++;
    print(outcome);
  });
  if (counts.skip > 0) console.log(`${counts.skip} skipped for want of what they need`);
  console.log(`${counts.ok} passed, ${counts.FAIL} failed`);
  return counts.FAIL === 0 && counts.ok > 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const { code, message } = toRsError(error);
  console.error(`conformance: ${escapeControls(message)} [${code}]`);
  process.exitCode = code === 'E_USAGE' ? 2 : 1;
}
// Open connections would keep the process alive.
process.exit();
