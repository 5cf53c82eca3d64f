// Executes the I/O commands of one queue: admits them to their namespace, submits them to its volume, and decides the answers.
// nvme-connection.ts moves bytes and owns the memory. Invariant: every request to a volume was admitted in the same turn of the event loop,
// also the later requests of a command with several.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { anaCode } from './ana.ts';
import { codeOf, type IoPlan, nextRange, planIo } from './io-commands.ts';
import type { NvmeCommand } from './nvme-command.ts';
import type { GateNamespace } from './subsystem-view.ts';
import type { Subsystem } from './subsystem.ts';
import { CODE, type Code, DNR, IO } from './wire/constants.ts';

export interface IoPorts {
  answer(command: NvmeCommand, code: Code): void;
  /** Answers with the data that the volume has read. */
  answerRead(command: NvmeCommand): void;
  /** False if the host may have repeated its command meanwhile (rule D1); the connection is then closed, and the command has ended. */
  mayContinue(): boolean;
}

export class IoExecution {
  /** Requests that volumes have. */
  inVolume = 0;
  private readonly subsystem: Subsystem;
  private readonly ports: IoPorts;

  constructor(subsystem: Subsystem, ports: IoPorts) {
    this.subsystem = subsystem;
    this.ports = ports;
  }

  /** The answer to a command that its volume has had for GATE_BUSY_MS. */
  get lateCode(): Code {
    return this.subsystem.options.hasPartner ? CODE.ANA_INACCESSIBLE : CODE.COMMAND_INTERRUPTED;
  }

  /** Sets the fields of VolumeIo by the command. Returns a code with the reason if the command is refused now. */
  plan(command: NvmeCommand): IoPlan | Code {
    const namespace = this.namespaceOf(command);
    if (typeof namespace === 'number') return namespace;
    const plan = planIo(command, namespace.volume.blockSizeBytes);
    return typeof plan === 'number' ? plan : (refusal(namespace) ?? plan);
  }

  execute(command: NvmeCommand): void {
    const plan = this.plan(command);
    if (plan === 'submit') this.submit(command);
    else if (plan === 'ranges') this.discardNext(command);
    else this.ports.answer(command, plan === 'nothing' ? CODE.OK : plan);
  }

  /** A volume has completed a request of the command. */
  completed(command: NvmeCommand, status: Status): void {
    const isWrite = command.direction === 'in' && command.opcode !== IO.COMPARE;
    if (status !== STATUS.OK) this.ports.answer(command, codeOf(status, isWrite, this.subsystem.options.hasPartner));
    else if (command.opcode === IO.DATASET_MANAGEMENT) {
      if (this.ports.mayContinue()) this.discardNext(command);
    } else if (command.opcode === IO.READ) this.ports.answerRead(command);
    else if (command.opcode === IO.COMPARE) this.ports.answer(command, command.isEqual() ? CODE.OK : CODE.COMPARE_FAILURE | DNR);
    else this.ports.answer(command, CODE.OK);
  }

  private namespaceOf({ nsid }: NvmeCommand): GateNamespace | Code {
    const lost = this.subsystem.hasLost(nsid) ? CODE.ANA_INACCESSIBLE : CODE.INVALID_NAMESPACE | DNR;
    return this.subsystem.namespaces.get(nsid) ?? lost;
  }

  private submit(command: NvmeCommand): void {
    const namespace = this.namespaceOf(command);
    if (typeof namespace === 'number') return this.ports.answer(command, namespace);
    command.bufferOffset = command.opcode === IO.COMPARE ? command.dataBytes : 0;
    command.received = null;
    namespace.volume.submit(command);
    command.begunMs = this.subsystem.options.nowMs();
    this.inVolume++;
  }

  private discardNext(command: NvmeCommand): void {
    const namespace = this.namespaceOf(command);
    const refused = typeof namespace === 'number' ? namespace : refusal(namespace);
    if (refused !== null || typeof namespace === 'number') return this.ports.answer(command, refused ?? CODE.ANA_INACCESSIBLE);
    const { volume } = namespace;
    // A volume that cannot discard ignores the hint.
    const next = volume.canDiscard && nextRange(command, volume.blockSizeBytes);
    if (next === true) this.submit(command);
    else this.ports.answer(command, next === false ? CODE.OK : next);
  }
}

/** Returns why a namespace refuses an I/O command now; null if it admits the command. */
function refusal(namespace: GateNamespace): Code | null {
  const { ana } = namespace;
  if (ana === 'optimized') return null;
  namespace.wanted();
  return anaCode(ana);
}
