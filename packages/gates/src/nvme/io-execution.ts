// Executes the I/O commands of one queue: admits them to their namespace, submits them to its volume, and decides the answers.
// nvme-connection.ts moves bytes and owns the memory. Invariants: every request is admitted in the same turn of the event loop in which the
// volume gets it, even the later requests of a command, and only in its order among the changes of other paths (rule D1); a fused pair that
// a volume has is answered when the volume has completed it, and never with a code that makes its host repeat it.

import { counted } from '@rsio/base/lib/assert';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { GATE_BUSY_MS, GATE_COPY_MAX_BYTES, GATE_QUIESCE_MS } from '../limits.ts';
import { anaCode } from './ana.ts';
import { codeOf, type IoPlan, isChange, nextRange, planIo } from './io-commands.ts';
import type { NvmeCommand } from './nvme-command.ts';
import { reservationAction, reservationCode, reservationReport } from './reservation-commands.ts';
import type { ReservingHost } from '../reservations/reservation-rules.ts';
import type { GatePath } from '../order/gate-path.ts';
import type { Reservations } from '../reservations/reservations.ts';
import type { GateNamespace } from '../ports/gate-namespace.ts';
import type { Subsystem } from './subsystem.ts';
import { CODE, type Code, DNR, FUSE, IO } from './wire/constants.ts';

/** A host without an identity cannot reserve. */
const NO_HOST_ID = '0'.repeat(32);

export interface IoPorts {
  readonly isOpen: boolean;
  answer(command: NvmeCommand, code: Code): void;
  /** Answers with the data that the volume has read. */
  answerRead(command: NvmeCommand): void;
  /** False if the host may have repeated its command meanwhile (rule D1); the connection is then closed, and the command has ended. */
  mayContinue(): boolean;
  answerData(command: NvmeCommand, content: Buffer): void;
  /** Closes the connection without an answer, because nobody knows whether a command was executed that must not be repeated. */
  close(why: string): void;
  /** Calls `then`, which answers a command that waited, unless the connection has been closed meanwhile. */
  resume(then: () => void): void;
}

export class IoExecution {
  /** Number of commands that volumes are executing. */
  inVolume = 0;
  /**
   * The time (monotonic ms) of the last tick. Its accuracy is sufficient for the time limits of commands, and no command has to read the
   * clock.
   */
  tickMs: number;
  private readonly subsystem: Subsystem;
  private readonly host: ReservingHost;
  private readonly ports: IoPorts;
  private readonly path: GatePath;

  constructor(subsystem: Subsystem, host: ReservingHost, ports: IoPorts, path: GatePath) {
    this.path = path;
    this.subsystem = subsystem;
    this.host = host;
    this.ports = ports;
    this.tickMs = subsystem.options.nowMs();
  }

  /** How long a volume may execute a command before the host gets an answer; 0 if the gate has told the host to use another gate. */
  patienceMs({ nsid }: NvmeCommand): number {
    return this.subsystem.namespaces.get(nsid)?.ana === 'inaccessible' ? 0 : GATE_BUSY_MS;
  }

  /** The answer to a command that its volume has not completed in that time. */
  get lateCode(): Code {
    return this.subsystem.options.hasPartner ? CODE.ANA_INACCESSIBLE : CODE.COMMAND_INTERRUPTED;
  }

  /** Sets the fields of VolumeIo from the command. Returns a code with the reason if the command is refused now. */
  plan(command: NvmeCommand): IoPlan | Code {
    const namespace = this.namespaceOf(command);
    if (typeof namespace === 'number') return namespace;
    const plan = planIo(command, namespace.volume.blockSizeBytes);
    return typeof plan === 'number' ? plan : (this.refusal(namespace, command) ?? plan);
  }

  /** `planned`: the result of `plan` in this turn of the event loop; null if `plan` must be called now. */
  execute(command: NvmeCommand, planned: IoPlan | null): void {
    command.goesOn = () => this.goOn(command);
    if (command.failure !== null) return this.ports.answer(command, command.failure);
    const plan = planned ?? this.plan(command);
    if (plan === 'submit' && command.fuse !== FUSE.NO) this.fuse(command);
    else if (plan === 'submit') this.submit(command);
    else if (plan === 'ranges') this.discardNext(command);
    else if (plan === 'reserve') this.reserve(command);
    else this.ports.answer(command, plan === 'nothing' ? CODE.OK : plan);
  }

  /** Lets a reservation command that waits go on. Returns true if it has waited for too long. */
  isStuck({ reservingMs, reservations }: NvmeCommand, nowMs: number): boolean {
    if (reservingMs === null) return false;
    if (nowMs - reservingMs > GATE_QUIESCE_MS) return true;
    reservations?.proceed();
    return false;
  }

  /** A volume has finished with the command. */
  left(command: NvmeCommand): void {
    this.inVolume = counted(this.inVolume - 1, 'commands in volumes');
    command.begunMs = null;
    command.partner = null;
  }

  /** A volume has completed a request of the command. `first` is the Compare if the command was executed with it. */
  completed(command: NvmeCommand, status: Status, first: NvmeCommand | null): void {
    if (first !== null) return this.answerFused(first, command, status);
    const isWrite = command.direction === 'in' && command.opcode !== IO.COMPARE;
    if (status !== STATUS.OK) this.ports.answer(command, codeOf(status, isWrite, this.subsystem.options.hasPartner));
    else if (command.opcode === IO.DATASET_MANAGEMENT) {
      if (this.ports.mayContinue()) this.discardNext(command);
    } else if (command.opcode === IO.READ) this.ports.answerRead(command);
    else if (command.opcode === IO.COMPARE) this.ports.answer(command, command.isEqual() ? CODE.OK : CODE.COMPARE_FAILURE | DNR);
    else this.ports.answer(command, CODE.OK);
  }

  private namespaceOf({ nsid }: NvmeCommand): GateNamespace | Code {
    const known = this.subsystem.namespaces.get(nsid);
    if (known !== undefined) return known;
    return this.subsystem.isElsewhere(nsid) ? CODE.ANA_INACCESSIBLE : CODE.INVALID_NAMESPACE | DNR;
  }

  private submit(command: NvmeCommand): void {
    const namespace = this.namespaceOf(command);
    if (typeof namespace === 'number') return this.ports.answer(command, namespace);
    command.bufferOffset = command.opcode === IO.COMPARE ? command.dataBytes : 0;
    command.received = null;
    command.reservations = namespace.reservations;
    const { op, positionBytes, lengthBytes, partner } = command;
    const isChange = op !== 'read' && op !== 'flush';
    if (isChange && namespace.order?.blocks.executes(this.path, command, positionBytes, lengthBytes) === false) return;
    namespace.volume.submit(command);
    command.begunMs = this.tickMs;
    this.inVolume++;
    if (command.fuse !== FUSE.SECOND || partner === null) return;
    // The volume uses the memory of the first command, too.
    partner.begunMs = this.tickMs;
    this.inVolume++;
  }

  /** A change was held. */
  private goOn(command: NvmeCommand): void {
    if (!this.ports.mayContinue()) return;
    const namespace = this.namespaceOf(command);
    if (typeof namespace === 'number') return this.ports.answer(command, namespace);
    const refused = this.refusal(namespace, command);
    if (refused !== null) this.ports.answer(command, refused);
    else if (command.opcode >= IO.RESERVATION_REGISTER) this.reserve(command);
    else this.submit(command);
  }

  /** Executes a pair as soon as the data of both commands is there, if both are admitted at that time. */
  private fuse(command: NvmeCommand): void {
    const { partner } = command;
    if (partner?.phase !== 'executing') return;
    const [first, second] = command.fuse === FUSE.FIRST ? [command, partner] : [partner, command];
    const isSame = first.nsid === second.nsid && first.positionBytes === second.positionBytes;
    const refused = isSame ? this.plan(partner) : CODE.INVALID_FIELD | DNR;
    if (typeof refused === 'number') return this.ports.answer(partner, refused);
    second.expected = first.buffer;
    second.differs = false;
    this.submit(second);
  }

  private answerFused(first: NvmeCommand, second: NvmeCommand, status: Status): void {
    const code = codeOf(status, true, this.subsystem.options.hasPartner);
    if (code === CODE.ANA_INACCESSIBLE || code === CODE.COMMAND_INTERRUPTED) {
      // Nobody knows whether it was executed. The host would repeat it, and it would then miscompare.
      this.ports.close('nobody knows whether its compare and write was executed');
    } else if (status !== STATUS.OK) {
      this.ports.answer(first, CODE.FAILED_FUSED);
      // The write may have been executed, so that its code must not say that it was aborted.
      this.ports.answer(second, code);
    } else {
      this.ports.answer(first, second.differs ? CODE.COMPARE_FAILURE | DNR : CODE.OK);
      this.ports.answer(second, second.differs ? CODE.FAILED_FUSED : CODE.OK);
    }
  }

  private discardNext(command: NvmeCommand): void {
    const namespace = this.namespaceOf(command);
    if (typeof namespace === 'number') return this.ports.answer(command, namespace);
    const refused = this.refusal(namespace, command);
    if (refused !== null) return this.ports.answer(command, refused);
    const { volume } = namespace;
    // A volume that cannot discard ignores the hint.
    const next = volume.canDiscard && nextRange(command, volume.blockSizeBytes);
    if (next === true) this.submit(command);
    else this.ports.answer(command, next === false ? CODE.OK : next);
  }

  private reserve(command: NvmeCommand): void {
    const { ports } = this;
    const namespace = this.namespaceOf(command);
    if (typeof namespace === 'number') return ports.answer(command, namespace);
    const { reservations, order } = namespace;
    if (reservations === null) return ports.answer(command, CODE.INVALID_OPCODE | DNR);
    const action = reservationAction(command);
    if (typeof action === 'number') return ports.answer(command, action);
    if (this.host.hostId === NO_HOST_ID) return ports.answer(command, CODE.SEQUENCE_ERROR | DNR);
    command.reservations = reservations;
    command.reservingMs = this.subsystem.options.nowMs();
    reservations.execute({
      hostId: this.host.hostId,
      hostNqn: this.host.hostNqn,
      action,
      isWanted: () =>
        ports.mayContinue() && ports.isOpen && (action.verb === 'report' || order?.orders.executes(this.path, command, 0, 1) !== false),
      // It is held, or the connection has ended and the command with it.
      dropped: () => undefined,
      ended: (outcome) =>
        ports.resume(() => {
          command.reservingMs = null;
          if (outcome === 'unknown') ports.close('nobody knows whether its reservation was saved');
          else if (action.verb === 'report' && outcome === 'done') ports.answerData(command, wholeReport(command, reservations));
          else ports.answer(command, reservationCode(outcome));
        }),
    });
  }

  /** Returns why a namespace refuses an I/O command now; null if it admits the command. */
  private refusal(namespace: GateNamespace, { opcode }: NvmeCommand): Code | null {
    const { ana, reservations } = namespace;
    if (ana !== 'optimized') {
      namespace.wanted();
      return anaCode(ana);
    }
    if (reservations === null || opcode === IO.RESERVATION_REPORT) return null;
    if (opcode >= IO.RESERVATION_REGISTER) return reservations.isReservedFor(null) ? CODE.RESERVATION_CONFLICT | DNR : null;
    return reservations.admits(this.host.hostId, isChange(opcode)) ? null : CODE.RESERVATION_CONFLICT | DNR;
  }
}

/** Returns the report, padded with zeros to the length that the host asks for. */
function wholeReport(command: NvmeCommand, { state }: Reservations): Buffer {
  const askedBytes = Math.min(4 * (command.dword(10) + 1), command.dataBytes, GATE_COPY_MAX_BYTES);
  const report = Buffer.alloc(askedBytes);
  reservationReport(state).copy(report);
  return report;
}
