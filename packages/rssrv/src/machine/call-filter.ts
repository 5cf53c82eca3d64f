// Builds the seccomp filter (BPF) of calls that a worker may not make. A worker need not open sockets or files, because the listener passes
// connections and files to it, and it starts no program. Invariants: a refused call fails with EPERM and ends no process; all calls of other architectures are
// refused.

interface Architecture {
  /** The constant AUDIT_ARCH_... of this architecture in linux/audit.h. */
  readonly audit: number;
  /** Bit that is set in the numbers of a second table of calls (x32); 0 if the architecture has no such table. */
  readonly otherTable: number;
  readonly clone: number;
  readonly denied: Readonly<Record<string, number>>;
}

/** Numbers of newer calls, which all architectures share. */
const SHARED = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_getfd: 438,
  mount_setattr: 442,
};

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    otherTable: 0x40000000,
    clone: 56,
    denied: {
      ...SHARED,
      socket: 41,
      connect: 42,
      accept: 43,
      bind: 49,
      listen: 50,
      accept4: 288,
      ptrace: 101,
      execve: 59,
      execveat: 322,
      process_vm_readv: 310,
      process_vm_writev: 311,
      kcmp: 312,
      pivot_root: 155,
      chroot: 161,
      mount: 165,
      umount2: 166,
      unshare: 272,
      setns: 308,
      open_by_handle_at: 304,
      acct: 163,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      quotactl: 179,
      kexec_load: 246,
      kexec_file_load: 320,
      init_module: 175,
      delete_module: 176,
      finit_module: 313,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      perf_event_open: 298,
      bpf: 321,
      userfaultfd: 323,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    otherTable: 0,
    clone: 220,
    denied: {
      ...SHARED,
      socket: 198,
      bind: 200,
      listen: 201,
      accept: 202,
      connect: 203,
      accept4: 242,
      ptrace: 117,
      execve: 221,
      execveat: 281,
      process_vm_readv: 270,
      process_vm_writev: 271,
      kcmp: 272,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      chroot: 51,
      unshare: 97,
      setns: 268,
      open_by_handle_at: 265,
      quotactl: 60,
      acct: 89,
      kexec_load: 104,
      reboot: 142,
      swapon: 224,
      swapoff: 225,
      kexec_file_load: 294,
      init_module: 105,
      delete_module: 106,
      finit_module: 273,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      perf_event_open: 241,
      bpf: 280,
      userfaultfd: 282,
    },
  },
};

/** Flags of clone that make namespaces. */
const NAMESPACES = 0x7e020000;
const CLONE3 = 435;

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_EQUAL = 0x35;
const JUMP_SET = 0x45;
const RETURN = 0x06;
/** Offsets in struct seccomp_data. */
const [NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT] = [0, 4, 16];

const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const [EPERM, ENOSYS] = [1, 38];
const INSTRUCTION_BYTES = 8;

type Target = 'next' | 'allow' | 'deny' | 'unknown';

interface Instruction {
  readonly code: number;
  readonly value: number;
  readonly met?: Target;
  readonly unmet?: Target;
}

/**
 * Returns the filter for an architecture (in the spelling of Node.js), or null if the numbers of its system calls are not known. `usesRing`
 * is true if libuv has set up an io_uring. The filter must then permit io_uring_enter, because libuv would end the process if this call
 * failed.
 */
export function callFilter(architecture: string, usesRing: boolean): Buffer | null {
  const known = ARCHITECTURES[architecture];
  if (known === undefined) return null;
  const { audit, otherTable, clone, denied } = known;
  const numbers = Object.values(denied).filter((number) => !usesRing || number !== SHARED.io_uring_enter);
  return assemble([
    { code: LOAD, value: ARCHITECTURE_AT },
    { code: JUMP_EQUAL, value: audit, met: 'next', unmet: 'deny' },
    { code: LOAD, value: NUMBER_AT },
    ...(otherTable === 0 ? [] : [{ code: JUMP_GREATER_EQUAL, value: otherTable, met: 'deny' as const, unmet: 'next' as const }]),
    ...numbers.map((value) => ({ code: JUMP_EQUAL, value, met: 'deny' as const, unmet: 'next' as const })),
    // The flags of clone3 are in memory, which a filter cannot read. With this filter, clone3 fails with ENOSYS, and the C library falls
    // back to clone.
    { code: JUMP_EQUAL, value: CLONE3, met: 'unknown', unmet: 'next' },
    { code: JUMP_EQUAL, value: clone, met: 'next', unmet: 'allow' },
    { code: LOAD, value: FIRST_ARGUMENT_AT },
    { code: JUMP_SET, value: NAMESPACES, met: 'deny', unmet: 'allow' },
  ]);
}

/** Appends the three return instructions, and encodes each instruction: code, two relative jumps, value. */
function assemble(instructions: readonly Instruction[]): Buffer {
  const ends = [ALLOW, ERRNO | EPERM, ERRNO | ENOSYS];
  const length = instructions.length;
  const at: Readonly<Record<Target, number>> = { next: 0, allow: length, deny: length + 1, unknown: length + 2 };
  const jump = (target: Target | undefined, from: number): number =>
    target === undefined || target === 'next' ? 0 : at[target] - from - 1;
  const bytes = Buffer.alloc((length + ends.length) * INSTRUCTION_BYTES);
  const write = (index: number, code: number, met: number, unmet: number, value: number): void => {
    const offset = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, offset);
    bytes.writeUInt8(met, offset + 2);
    bytes.writeUInt8(unmet, offset + 3);
    bytes.writeUInt32LE(value >>> 0, offset + 4);
  };
  instructions.forEach(({ code, value, met, unmet }, index) => write(index, code, jump(met, index), jump(unmet, index), value));
  ends.forEach((value, index) => write(length + index, RETURN, 0, 0, value));
  return bytes;
}
