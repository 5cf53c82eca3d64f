// Opens I/O queues of an NVMe/TCP host for the load generator (native/nvme.c). All queues belong to one login, without a keep-alive time and
// without digests. Invariant: the connection of the admin queue stays open, because the login ends with it.

import { randomBytes } from 'node:crypto';
import { RsError } from '@rsio/base/lib/errors';
import { ADMIN, CNTLID_ANY, FABRICS, HEADER_BYTES, PDU, PROPERTY, SGL, SQE_BYTES } from '@rsio/gates/nvme/wire/constants';
import { ByteStream } from './byte-stream.ts';
import type { NvmeVolume, OpenConnection, Place } from './orders.ts';

const CONNECT_BYTES = 1024;
const HAS_SGL = 0x40;
const ADMIN_ENTRIES = 32;
const ENTRIES = 128;
const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
/** CC: enabled, entries of 64 and 16 bytes. */
const ENABLED = 0x46_0001;

export async function openNvme(place: Place, { nqn }: NvmeVolume, connections: number): Promise<OpenConnection[]> {
  const streams: ByteStream[] = [];
  const connect = async (qid: number, cntlid: number): Promise<Buffer> => {
    const stream = await ByteStream.connect(place);
    streams.push(stream);
    stream.send(greeting());
    await stream.take(HEADER_BYTES.ic);
    return done(stream, connectCommand(nqn, hostId, qid, cntlid));
  };
  const hostId = randomBytes(16);
  try {
    const cntlid = (await connect(0, CNTLID_ANY)).readUInt16LE(8);
    const enable = command(FABRICS.PROPERTY_SET);
    enable.writeUInt32LE(PROPERTY.CC, 8 + 44);
    enable.writeUInt32LE(ENABLED, 8 + 48);
    await done(streams[0]!, enable);
    for (let qid = 1; qid <= connections; qid++) await connect(qid, cntlid);
  } catch (error) {
    for (const stream of streams) stream.close();
    throw error;
  }
  return streams.slice(1).map((stream) => stream.release([0, 0]));
}

function greeting(): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES.ic);
  bytes.set([PDU.IC_REQ, 0, HEADER_BYTES.ic], 0);
  bytes.writeUInt32LE(HEADER_BYTES.ic, 4);
  return bytes;
}

/** A Fabrics command in a capsule without data. Its entry begins at byte 8. */
function command(type: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES.capsuleCmd);
  bytes.set([PDU.CAPSULE_CMD, 0, HEADER_BYTES.capsuleCmd], 0);
  bytes.writeUInt32LE(HEADER_BYTES.capsuleCmd, 4);
  bytes.set([ADMIN.FABRICS, HAS_SGL, 0, 0, type], 8);
  return bytes;
}

function connectCommand(nqn: string, hostId: Buffer, qid: number, cntlid: number): Buffer {
  const head = command(FABRICS.CONNECT);
  head[3] = HEADER_BYTES.capsuleCmd;
  head.writeUInt32LE(HEADER_BYTES.capsuleCmd + CONNECT_BYTES, 4);
  const entry = head.subarray(8, 8 + SQE_BYTES);
  entry.writeUInt32LE(CONNECT_BYTES, SGL.LENGTH_AT);
  entry[SGL.TYPE_AT] = SGL.IN_CAPSULE;
  entry.writeUInt16LE(qid, 42);
  entry.writeUInt16LE((qid === 0 ? ADMIN_ENTRIES : ENTRIES) - 1, 44);
  const data = Buffer.alloc(CONNECT_BYTES);
  hostId.copy(data);
  data.writeUInt16LE(cntlid, 16);
  data.write(nqn, 256);
  data.write(HOST_NQN, 512);
  return Buffer.concat([head, data]);
}

/** Resolves with the PDU that completes the command. */
async function done(stream: ByteStream, bytes: Buffer): Promise<Buffer> {
  stream.send(bytes);
  const answer = await stream.take(HEADER_BYTES.capsuleResp);
  const status = answer.readUInt16LE(22) >>> 1;
  if (answer[0] !== PDU.CAPSULE_RESP || status !== 0)
    throw new RsError('E_VOLUME', `The gate refused a command: status 0x${status.toString(16)}`);
  return answer;
}
