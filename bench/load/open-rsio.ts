// Opens a session of RSIO for the load generator: handshake of its paths and OPEN by the protocol package; afterwards each path takes bare
// I/O frames. No trunk: the client's own work is not what is measured here.

import { randomBytes } from 'node:crypto';
import { ClientHandshake, type SessionToJoin } from '@rsio/protocol/auth/handshake-client';
import { RsError } from '@rsio/common/lib/errors';
import { HEADER_BYTES, SLOTS, SLOTS_RESERVED } from '@rsio/protocol/wire/limits';
import { PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { ANSWER, frameName, OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes, emptyHeader, type Header, readHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import {
  decodeFarewell,
  decodeHeartbeat,
  decodeOpenAnswer,
  encodeFarewell,
  encodeHeartbeat,
  encodeOpenRequest,
} from '@rsio/protocol/wire/message-codec';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import { ByteStream } from './byte-stream.ts';
import type { OpenConnection, Place, RsioVolume } from './orders.ts';

/** Not one of the load's: it uses the first slots. */
const OPEN_SLOT = SLOTS - 1;

/** Each session is of a client that has just started. */
let instances = 0;

/** Said on every path at the end, so that the session ends. */
export function rsioFarewell(): Buffer {
  return messageFrame(OP.BYE, 0, 0, encodeFarewell({ code: 'E_SHUTTING_DOWN', sentence: 'The bench has measured' }));
}

/** `client`: which of the volume's nodes; `isReadonly`: several clients may read. */
export async function openRsio(
  place: Place,
  volume: RsioVolume,
  { client, paths, isReadonly }: { readonly client: number; readonly paths: number; readonly isReadonly: boolean },
): Promise<OpenConnection[]> {
  instances++;
  const streams: ByteStream[] = [];
  try {
    let session: SessionToJoin | null = null;
    for (let path = 0; path < paths; path++) {
      const stream = await ByteStream.connect(place);
      streams.push(stream);
      session = await prove(stream, volume, client, session);
    }
    const [first] = streams;
    if (first === undefined) throw new RsError('E_INTERNAL', 'A session has a path');
    const handle = await openVolumes(first, volume.volumes, isReadonly);
    const slotsEach = Math.floor((SLOTS - SLOTS_RESERVED) / paths);
    return streams.map((stream, index) => stream.release([handle, index * slotsEach]));
  } catch (error) {
    for (const stream of streams) stream.close();
    throw error;
  }
}

/** Gives the handle of the first one; those of the others follow. */
async function openVolumes(stream: ByteStream, names: readonly string[], isReadonly: boolean): Promise<number> {
  let firstHandle = 0;
  for (const [index, name] of names.entries()) {
    // Holds outlive their sessions: a writer takes them from the earlier readers.
    const body = encodeOpenRequest({ name, universe: 0, readonly: isReadonly, take: isReadonly ? 0 : 2 });
    stream.send(messageFrame(OP.OPEN, OPEN_SLOT, index + 1, body));
    const handle = await openedHandle(stream);
    if (index === 0) firstHandle = handle;
    else if (handle !== firstHandle + index) throw new RsError('E_PROTOCOL', `Volume ${name} got handle ${handle}, not the next one`);
  }
  return firstHandle;
}

/** A path of a new session, or of the one given; gives what joins it. */
async function prove(stream: ByteStream, volume: RsioVolume, client: number, session: SessionToJoin | null): Promise<SessionToJoin> {
  const { namespaceid, nodes, nodekey } = volume;
  const node = nodes[client];
  if (node === undefined) throw new RsError('E_INTERNAL', `There are ${nodes.length} nodes`);
  const hello = {
    versions: PROTOCOL_VERSIONS,
    features: [],
    namespaceid,
    node,
    instance: instances,
    machine: 'bench',
    boot: 'bench',
    process: null,
    interface: 'if0',
  };
  const handshake = new ClientHandshake({ nodekey, serverkey: null, hello }, randomBytes);
  stream.send(handshake.start());
  handshake.onChallenge(await takeFrame(stream));
  stream.send(handshake.proof(session, []));
  const welcome = handshake.onWelcome(await takeFrame(stream));
  return session ?? { session: welcome.session, secret: handshake.sessionSecret };
}

async function takeFrame(stream: ByteStream, header: Header = emptyHeader()): Promise<Buffer> {
  const bytes = await stream.take(HEADER_BYTES);
  readHeader(bytes, 0, header);
  return Buffer.concat([bytes, await stream.take(bodyLengthBytes(header))]);
}

/** From the answer to OPEN, whatever else comes before it. */
async function openedHandle(stream: ByteStream): Promise<number> {
  const header = emptyHeader();
  for (;;) {
    const frame = await takeFrame(stream, header);
    const body = frame.subarray(HEADER_BYTES);
    switch (header.op) {
      case OP.OPEN | ANSWER:
        if (header.handle !== STATUS.OK) {
          const { name, sentence } = statusEntry(header.handle);
          throw new RsError('E_VOLUME', `The server did not open the volume: ${name}: ${sentence}`);
        }
        return decodeOpenAnswer(body, 0, body.length).handle;
      case OP.PING: {
        const { number, clockMs } = decodeHeartbeat(body, 0, body.length);
        stream.send(messageFrame(OP.PONG, 0, 0, encodeHeartbeat({ number, clockMs, heard: number, oldestMs: 0, generation: 0 })));
        break;
      }
      case OP.NOTIFY:
        break;
      case OP.BYE:
        throw new RsError('E_RESET', `The server said: ${decodeFarewell(body, 0, body.length).sentence}`);
      default:
        throw new RsError('E_PROTOCOL', `${frameName(header.op)} was not to come here`);
    }
  }
}

function messageFrame(op: number, slot: number, seq: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  writeMessageHeader(header, 0, op, 0, 0, slot, seq, body.length, 0);
  return Buffer.concat([header, body]);
}
