// System calls that Node.js does not offer: passing descriptors over a Unix socket (SCM_RIGHTS), and giving up rights. No read or write of
// a volume uses a call of this file. Invariants: a received descriptor is closed on exec; no call waits.

import { closeSync } from 'node:fs';
import os from 'node:os';
import { assert } from '@rsio/base/lib/assert';
import { callFailure, type Libc, throughLibc } from './libc.ts';
import { DESCRIPTORS_PER_MESSAGE_MAX } from './limits.ts';

export interface ReceivedDescriptors {
  readonly tag: number;
  readonly descriptors: readonly number[];
}

export interface SystemCalls {
  /** Returns both ends of a pair of Unix sockets that carry descriptors. */
  socketPair(): readonly [number, number];
  /** Sends descriptors, which stay open in this process. Returns false if the socket is full. Throws an error with the errno in `code`. */
  send(socket: number, tag: number, descriptors: readonly number[]): boolean;
  /** Returns the next message, or null if no message has arrived. Throws an error with the errno in `code`. */
  receive(socket: number): ReceivedDescriptors | null;
  /**
   * Changes user and group of all threads and removes all other groups. The calls of Node.js cannot be used: on Debian 13 they always fail,
   * because libuv could use an io_uring.
   */
  becomeUser(uid: number, gid: number): void;
  /** Sets the name of the process. A process without rights cannot change its name in /proc. */
  setName(name: string): void;
  /** Forbids core dumps, tracing by processes of the same user, and new rights for programs that this process starts. */
  giveUpRights(): void;
  /** Installs a seccomp filter (call-filter.ts) for all threads. */
  filterCalls(program: Buffer): void;
}

const { EAGAIN } = os.constants.errno;
const [AF_UNIX, SOCK_SEQPACKET, SOCK_CLOEXEC] = [1, 5, 0o2000000];
const [MSG_DONTWAIT, MSG_CTRUNC, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC] = [0x40, 0x8, 0x4000, 0x40000000];
const [SOL_SOCKET, SCM_RIGHTS] = [1, 1];
const [PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_NO_NEW_PRIVS] = [4, 15, 38];
const RLIMIT_CORE = 4;
const [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC] = [1, 1];
const SECCOMP_CALLS: Readonly<Record<string, number>> = { x64: 317, arm64: 277 };
const FILTER_BYTES = 8;
const TAG_BYTES = 8;
const CONTROL_HEADER_BYTES = 16;
const DESCRIPTOR_BYTES = 4;
const NAME_MAX_BYTES = 15;

/** Throws E_SYSTEM if the machine is not supported. */
export const systemCalls = throughLibc((libc): SystemCalls => {
  const { check, errno } = libc;
  const [socketpair, sendmsg, recvmsg] = [libc.socketpair(), libc.sendmsg(), libc.recvmsg()];
  return {
    socketPair: () => {
      const both = [0, 0];
      check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both), 'socketpair');
      return [both[0] ?? 0, both[1] ?? 0];
    },
    send: (socket, tag, descriptors) => {
      assert(descriptors.length > 0 && descriptors.length <= DESCRIPTORS_PER_MESSAGE_MAX, 'A message with a wrong number of descriptors');
      const bytes = Buffer.alloc(TAG_BYTES);
      bytes.writeBigUInt64LE(BigInt(tag));
      const sent = Number(sendmsg(socket, header(bytes, controlOf(descriptors)), MSG_DONTWAIT | MSG_NOSIGNAL));
      if (sent >= 0) return true;
      const failed = errno();
      if (failed === EAGAIN) return false;
      throw callFailure('sendmsg', failed);
    },
    receive: (socket) => {
      const bytes = Buffer.alloc(TAG_BYTES);
      const control = Buffer.alloc(CONTROL_HEADER_BYTES + DESCRIPTORS_PER_MESSAGE_MAX * DESCRIPTOR_BYTES);
      const received = header(bytes, control);
      const count = Number(recvmsg(socket, received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
      const failed = count < 0 ? errno() : 0;
      if (count === 0 || failed === EAGAIN) return null;
      if (count < 0) throw callFailure('recvmsg', failed);
      const tag = Number(bytes.readBigUInt64LE());
      const descriptors = descriptorsIn(control, Number(received.controlLength));
      if ((received.flags & MSG_CTRUNC) === 0) return { tag, descriptors };
      // This process had too few free descriptors, so the kernel has dropped a part of the passed descriptors. The message is incomplete,
      // so the descriptors that did arrive are closed here.
      for (const descriptor of descriptors) closeSync(descriptor);
      return { tag, descriptors: [] };
    },
    ...rightsCalls(libc),
  };
});

/** Returns the calls with which a process gives up rights. */
function rightsCalls(libc: Libc): Pick<SystemCalls, 'becomeUser' | 'setName' | 'giveUpRights' | 'filterCalls'> {
  const { check } = libc;
  const [prctl, prctlText, setrlimit, syscall] = [libc.prctl(), libc.prctlText(), libc.setrlimit(), libc.seccomp()];
  const [setgroups, setresgid, setresuid] = [libc.setgroups(), libc.setresgid(), libc.setresuid()];
  const seccomp = SECCOMP_CALLS[process.arch] ?? 0;
  return {
    becomeUser: (uid, gid) => {
      check(setgroups(0, null), 'setgroups');
      check(setresgid(gid, gid, gid), 'setresgid');
      check(setresuid(uid, uid, uid), 'setresuid');
    },
    setName: (name) => void prctlText(PR_SET_NAME, Buffer.from(name).subarray(0, NAME_MAX_BYTES).toString(), 0, 0, 0),
    giveUpRights: () => {
      check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl(PR_SET_NO_NEW_PRIVS)');
      check(setrlimit(RLIMIT_CORE, { soft: 0, hard: 0 }), 'setrlimit(RLIMIT_CORE)');
      check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 'prctl(PR_SET_DUMPABLE)');
    },
    filterCalls: (program) => {
      const described = { length: program.length / FILTER_BYTES, program };
      check(syscall(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, described), 'seccomp');
    },
  };
}

function header(bytes: Buffer, control: Buffer) {
  const pieces = [{ base: bytes, length: bytes.length }];
  return { name: null, nameLength: 0, pieces, count: 1, control, controlLength: control.length, flags: 0 };
}

/** Encodes a control message that passes descriptors: the length of the message, its level, its type, and the descriptors. */
function controlOf(descriptors: readonly number[]): Buffer {
  const bytes = Buffer.alloc(CONTROL_HEADER_BYTES + descriptors.length * DESCRIPTOR_BYTES);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 0);
  bytes.writeInt32LE(SOL_SOCKET, 8);
  bytes.writeInt32LE(SCM_RIGHTS, 12);
  descriptors.forEach((descriptor, index) => bytes.writeInt32LE(descriptor, CONTROL_HEADER_BYTES + index * DESCRIPTOR_BYTES));
  return bytes;
}

function descriptorsIn(control: Buffer, controlLength: number): number[] {
  if (controlLength < CONTROL_HEADER_BYTES) return [];
  const end = Math.min(Number(control.readBigUInt64LE(0)), controlLength);
  const found: number[] = [];
  for (let at = CONTROL_HEADER_BYTES; at + DESCRIPTOR_BYTES <= end; at += DESCRIPTOR_BYTES) found.push(control.readInt32LE(at));
  return found;
}
