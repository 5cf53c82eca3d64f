// Opens iSCSI sessions of one connection each for the load generator: login without authentication, and TEST UNIT READY until the unit has
// nothing to report. Each connection then accepts SCSI commands (native/iscsi.c).

import { RsError } from '@rsio/base/lib/errors';
import { ByteStream } from './byte-stream.ts';
import type { IscsiVolume, OpenConnection, Place } from './orders.ts';

const PDU_BYTES = 48;
const OPCODE = { command: 0x01, login: 0x43, response: 0x21, loginResponse: 0x23 } as const;
/** Transit from operational negotiation to full feature phase. */
const TO_FULL_FEATURE = 0x87;
const TRANSIT = 0x80;
const FINAL_SIMPLE = 0x81;
const LUN = 1;
const LOGIN_STEPS_MAX = 4;
/** Number of commands that may fail before the unit is ready: a new unit reports several conditions, one for each command. */
const READY_TRIES = 8;
/** Up to this size the data of a write travels with its command. */
const IMMEDIATE_BYTES = 1024 * 1024;

let sessions = 0;

export async function openIscsi(place: Place, volume: IscsiVolume, count: number): Promise<OpenConnection[]> {
  const opened: OpenConnection[] = [];
  for (let index = 0; index < count; index++) {
    const stream = await ByteStream.connect(place);
    try {
      opened.push(await logIn(stream, volume));
    } catch (error) {
      stream.close();
      for (const { socket } of opened) socket.destroy();
      throw error;
    }
  }
  return opened;
}

async function logIn(stream: ByteStream, { target, writeBytes = IMMEDIATE_BYTES }: IscsiVolume): Promise<OpenConnection> {
  const session = ++sessions;
  const wanted = [
    'InitiatorName=iqn.2026-11.bench:load',
    `TargetName=${target}`,
    'SessionType=Normal',
    'HeaderDigest=None',
    'DataDigest=None',
    'InitialR2T=No',
    'ImmediateData=Yes',
    `MaxRecvDataSegmentLength=${IMMEDIATE_BYTES}`,
    `MaxBurstLength=${IMMEDIATE_BYTES}`,
    `FirstBurstLength=${IMMEDIATE_BYTES}`,
    'ErrorRecoveryLevel=0',
    'MaxConnections=1',
  ];
  const agreed = new Map<string, string>();
  let statSn = 0;
  for (let step = 0; ; step++) {
    if (step === LOGIN_STEPS_MAX) throw new RsError('E_PROTOCOL', 'The target does not end the login');
    stream.send(loginPdu(session, statSn, step === 0 ? wanted : []));
    const { header, data } = await takePdu(stream);
    const status = header.readUInt16BE(36);
    if (header[0] !== OPCODE.loginResponse || status !== 0) {
      throw new RsError('E_PROTOCOL', `The target refused the login with status 0x${status.toString(16)}`);
    }
    statSn = header.readUInt32BE(24) + 1;
    for (const pair of data.toString().split('\0')) {
      const [key = '', value = ''] = pair.split('=', 2);
      agreed.set(key, value);
    }
    if ((header.readUInt8(1) & TRANSIT) !== 0) break;
  }
  for (const key of ['MaxRecvDataSegmentLength', 'FirstBurstLength']) {
    const bytes = Number(agreed.get(key) ?? 0);
    if (bytes < writeBytes) throw new RsError('E_PROTOCOL', `The target accepts only ${bytes} bytes with a command (${key})`);
  }
  return ready(stream, statSn);
}

/** Waits until the unit is ready. The words for the generator are the next CmdSN and the last StatSN. */
async function ready(stream: ByteStream, firstStatSn: number): Promise<OpenConnection> {
  let statSn = firstStatSn;
  for (let cmdSn = 1; cmdSn <= READY_TRIES; cmdSn++) {
    const pdu = Buffer.alloc(PDU_BYTES);
    pdu.writeUInt8(OPCODE.command, 0);
    pdu.writeUInt8(FINAL_SIMPLE, 1);
    pdu.writeUInt8(LUN, 9);
    pdu.writeUInt32BE(cmdSn, 16);
    pdu.writeUInt32BE(cmdSn, 24);
    pdu.writeUInt32BE(statSn, 28);
    stream.send(pdu);
    const { header } = await takePdu(stream);
    if (header[0] !== OPCODE.response) throw new RsError('E_PROTOCOL', 'The target did not answer TEST UNIT READY');
    statSn = header.readUInt32BE(24) + 1;
    if (header[3] === 0) return stream.release([cmdSn + 1, statSn - 1]);
  }
  throw new RsError('E_VOLUME', `The unit was not ready after ${READY_TRIES} TEST UNIT READY commands`);
}

function loginPdu(session: number, expStatSn: number, pairs: readonly string[]): Buffer {
  const text = Buffer.from(pairs.map((pair) => `${pair}\0`).join(''));
  const header = Buffer.alloc(PDU_BYTES);
  header.writeUInt8(OPCODE.login, 0);
  header.writeUInt8(TO_FULL_FEATURE, 1);
  header.writeUIntBE(text.length, 5, 3);
  // ISID of the random kind, different for each session.
  header.writeUInt8(TRANSIT, 8);
  header.writeUInt32BE(session, 10);
  header.writeUInt32BE(session, 16);
  header.writeUInt32BE(1, 24);
  header.writeUInt32BE(expStatSn, 28);
  return Buffer.concat([header, text, Buffer.alloc(padding(text.length))]);
}

async function takePdu(stream: ByteStream): Promise<{ readonly header: Buffer; readonly data: Buffer }> {
  const header = await stream.take(PDU_BYTES);
  const dataBytes = header.readUIntBE(5, 3);
  const data = await stream.take(dataBytes + padding(dataBytes));
  return { header, data: data.subarray(0, dataBytes) };
}

function padding(bytes: number): number {
  return (4 - (bytes % 4)) % 4;
}
