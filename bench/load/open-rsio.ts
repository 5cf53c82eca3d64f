// Opens a session of RSIO for the load generator. The protocol package does the handshake of each path, and encodes OPEN. Afterwards each
// path takes bare I/O frames, in clear, with digests, or inside TLS. There is no trunk, because the work of a client must not be measured.

import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ClientHandshake, type SessionToJoin } from '@rsio/protocol/auth/handshake-client';
import { RsError } from '@rsio/base/lib/errors';
import { DIGEST_BYTES, HEADER_BYTES, SLOTS, SLOTS_RESERVED } from '@rsio/protocol/wire/limits';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { ANSWER, frameName, OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes, emptyHeader, type Header, readHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import { Farewell, Ping, OpenAnswer, OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import { ByteStream } from './byte-stream.ts';
import type { OpenConnection, Place, RsioVolume } from './orders.ts';
import { throughTls } from './through-tls.ts';

/** The slot for OPEN: the last one. The load uses the first slots, and never the last one. */
const OPEN_SLOT = SLOTS - 1;

/** Instance number of the next client: each session belongs to a client that has just started. */
let instances = 0;

/** Frames that each path sends at the end, so that the session ends. */
export function rsioFarewell(digest: boolean): Buffer {
  return messageFrame({ digest }, OP.BYE, 0, 0, Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'The bench has measured' }));
}

interface SessionPlan {
  /** Index into the nodes of the volume. */
  readonly client: number;
  readonly paths: number;
  /** True: the volume is opened read-only, so that several clients can have it open. */
  readonly isReadonly: boolean;
  /** Cores of the relay that carries TLS for the load. */
  readonly cores: readonly number[];
}

/** A connection of the session; `digest`: frames after WELCOME have CRC-32s. */
interface Path {
  readonly stream: ByteStream;
  readonly digest: boolean;
}

export async function openRsio(place: Place, volume: RsioVolume, plan: SessionPlan): Promise<OpenConnection[]> {
  const { client, paths, isReadonly, cores } = plan;
  const digest = volume.protection === 'digest';
  instances++;
  const streams: ByteStream[] = [];
  try {
    let session: SessionToJoin | null = null;
    for (let path = 0; path < paths; path++) {
      streams.push(await ByteStream.connect(place));
      const proven = await prove(streams[path]!, volume, client, session, cores);
      streams[path] = proven.stream;
      ({ session } = proven);
    }
    const [first] = streams;
    if (first === undefined) throw new RsError('E_INTERNAL', 'A session has a path');
    const handle = await openVolumes({ stream: first, digest }, volume.volumes, isReadonly);
    const slotsEach = Math.floor((SLOTS - SLOTS_RESERVED) / paths);
    return streams.map((stream, index) => stream.release([handle, index * slotsEach]));
  } catch (error) {
    for (const stream of streams) stream.close();
    throw error;
  }
}

/** Returns the handle of the first volume; the next handles are consecutive. */
async function openVolumes(path: Path, names: readonly string[], isReadonly: boolean): Promise<number> {
  let firstHandle = 0;
  for (const [index, name] of names.entries()) {
    // The holds of earlier readers outlive their sessions. A writer therefore takes the volume over from these readers.
    const body = OpenRequest.encode({ name, universe: 0, readonly: isReadonly, take: isReadonly ? 0 : 2 });
    path.stream.send(messageFrame(path, OP.OPEN, OPEN_SLOT, index + 1, body));
    const handle = await openedHandle(path);
    if (index === 0) firstHandle = handle;
    else if (handle !== firstHandle + index) throw new RsError('E_PROTOCOL', `Volume ${name} got handle ${handle}, not the next one`);
  }
  return firstHandle;
}

/** Opens and proves a path of a new session or of the given session. Returns the data with which further paths join, and the connection. */
async function prove(
  clear: ByteStream,
  volume: RsioVolume,
  client: number,
  session: SessionToJoin | null,
  cores: readonly number[],
): Promise<{ session: SessionToJoin; stream: ByteStream }> {
  const { namespaceid, nodes, nodekey, protection } = volume;
  const node = nodes[client];
  if (node === undefined) throw new RsError('E_INTERNAL', `There are ${nodes.length} nodes`);
  const hello = {
    versions: PROTOCOL_VERSIONS,
    features: protection === undefined ? [] : [protection === 'tls' ? FEATURE.TLS : FEATURE.DIGEST],
    namespaceid,
    node,
    instance: instances,
    machine: 'bench',
    boot: 'bench',
    process: null,
    interface: 'if0',
  };
  const handshake = new ClientHandshake({ nodekey, serverkey: null, hello }, randomBytes);
  clear.send(handshake.start());
  const { features } = handshake.onChallenge(await takeFrame({ stream: clear, digest: false }));
  if (!hello.features.every((feature) => features.includes(feature))) {
    throw new RsError('E_PROTOCOL', `The server did not choose ${hello.features.join(', ')}`);
  }
  clear.send(handshake.proof(session, []));
  let stream = clear;
  if (protection === 'tls')
    stream = await throughTls(clear, handshake.onStartTls(await takeFrame({ stream: clear, digest: false })), cores);
  const welcome = handshake.onWelcome(await takeFrame({ stream, digest: false }));
  return { session: session ?? { session: welcome.session, secret: handshake.sessionSecret }, stream };
}

/** Returns a frame without its CRC-32s. */
async function takeFrame({ stream, digest }: Path, header: Header = emptyHeader()): Promise<Buffer> {
  const crcBytes = digest ? DIGEST_BYTES : 0;
  const bytes = await stream.take(HEADER_BYTES + crcBytes);
  readHeader(bytes, 0, header);
  const length = bodyLengthBytes(header);
  const body = length === 0 ? Buffer.alloc(0) : await stream.take(length + crcBytes);
  return Buffer.concat([bytes.subarray(0, HEADER_BYTES), body.subarray(0, length)]);
}

/** Returns the handle from the answer to OPEN, and skips frames before this answer. */
async function openedHandle(path: Path): Promise<number> {
  const header = emptyHeader();
  for (;;) {
    const frame = await takeFrame(path, header);
    const body = frame.subarray(HEADER_BYTES);
    switch (header.op) {
      case OP.OPEN | ANSWER:
        if (header.handle !== STATUS.OK) {
          const { name, sentence } = statusEntry(header.handle);
          throw new RsError('E_VOLUME', `The server did not open the volume: ${name}: ${sentence}`);
        }
        return OpenAnswer.decode(body, 0, body.length).handle;
      case OP.PING: {
        const { number, clockMs } = Ping.decode(body, 0, body.length);
        const pong = Ping.encode({ number, clockMs, heard: number, oldestMs: 0, generation: 0 });
        path.stream.send(messageFrame(path, OP.PONG, 0, 0, pong));
        break;
      }
      case OP.NOTIFY:
        break;
      case OP.BYE:
        throw new RsError('E_RESET', `The server said: ${Farewell.decode(body, 0, body.length).sentence}`);
      default:
        throw new RsError('E_PROTOCOL', `${frameName(header.op)} was not to come here`);
    }
  }
}

function messageFrame({ digest }: Pick<Path, 'digest'>, op: number, slot: number, seq: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  writeMessageHeader(header, 0, op, 0, 0, slot, seq, body.length, 0);
  return digest ? Buffer.concat([header, crcOf(header), body, crcOf(body)]) : Buffer.concat([header, body]);
}

function crcOf(bytes: Buffer): Buffer {
  const crc = Buffer.alloc(DIGEST_BYTES);
  crc.writeUInt32BE(crc32(bytes));
  return crc;
}
