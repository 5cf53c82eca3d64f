// One attached mirror: connects its driver, data path, copier and verifier, and passes the reports of each to the others. Invariants: the
// copier has read the intent maps before the data path serves I/O. A report that the data path or the copier makes during an event of a
// trunk takes effect after that event.

import { volumeLabel } from '@rsio/base/lib/volume-name';
import { within } from '@rsio/base/lib/waiting';
import type { EffectiveVolume } from '@rsio/common/config/effective-volume';
import type { AttachedMirrorView, VerificationView } from '@rsio/api/views/mirror-views';
import { progressOfResync, progressOfVerification } from '@rsio/api/views/progress';
import type { Progress } from '@rsio/api/views/views';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Attachment } from '@rsio/protocol/client/attachment';
import { Copier } from '@rsio/protocol/mirror/copy/copier';
import type { CopyBuffers } from '@rsio/protocol/mirror/copy/copy-buffers';
import { MirrorCopyIo } from '@rsio/protocol/mirror/copy/mirror-copy-io';
import { MirrorIo } from '@rsio/protocol/mirror/io/mirror-io';
import { Replica } from '@rsio/protocol/mirror/io/replica';
import type { MirrorSeed, MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { Membership } from '@rsio/protocol/mirror/membership/membership';
import { Verifier, type VerifyIo } from '@rsio/protocol/mirror/verify/verifier';
import { STATUS } from '@rsio/protocol/wire/status';
import { CLOSE_WAIT_MS } from './limits.ts';
import type { DriverPorts, DriverServer } from './driver-ports.ts';
import { MirrorDriver } from './mirror-driver.ts';
import { attachedMirrorView, unreadableText, verificationView } from './mirror-view.ts';
import { votersGone } from './replica-changes.ts';

/** The name of a mirror. */
export interface MirrorVolume {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
}

export interface AttachedMirrorPorts extends Pick<DriverPorts, 'clock' | 'ended' | 'newLog' | 'note' | 'random' | 'servers'> {
  readonly volume: MirrorVolume;
  /**
   * True if the mirror is attached read-only, so that writes of users are refused. The client is nevertheless the holder, and makes the
   * replicas equal.
   */
  readonly readonly: boolean;
  settings(): EffectiveVolume;
  readonly buffers: CopyBuffers;
  /** Called once, when the mirror takes I/O and its size is known. */
  serving(): void;
  /** Called when all replicas in sync and a majority of the voters have the larger size, which the volume of `io` already has. */
  grown(fromBytes: number): void;
}

export class AttachedMirror {
  readonly io: MirrorIo;
  readonly driver: MirrorDriver;
  private readonly copier: Copier;
  private readonly copyIo: VerifyIo;
  private verifier: Verifier | null = null;
  private isRepair = false;
  /**
   * True from the beginning of a detach. No comparison may start while a detach runs, because a comparison with repair resumes the copier
   * when the comparison ends (M13).
   */
  private isDetaching = false;
  private readonly ports: AttachedMirrorPorts;
  /** True if the mirror was cleanly detached before this attach; null until this client is the holder. */
  private isClean: boolean | null = null;
  /** Key: serverid. Value: the name of the server. The map contains the servers that the namespace had at the last call of `look`. */
  private servers = new Map<number, string>();
  private hasBegun = false;
  private hasToldServing = false;
  private readonly flushing = new Set<string>();
  /** The growth that a command has started and that has not ended; null if there is none. */
  private growing: { readonly sizeBytes: number; readonly answer: Promise<string> } | null = null;
  private whenSettled: (() => void) | null = null;
  private whenDetached: (() => void) | null = null;

  constructor(seed: MirrorSeed, ports: AttachedMirrorPorts) {
    this.ports = ports;
    const { clock } = ports;
    const { mirror, name, universe } = seed;
    this.io = new MirrorIo(
      { mirror, name, universe, readonly: ports.readonly },
      {
        clock,
        timesBudget: ports.buffers.times,
        lost: (identity, why) => this.driver.lost(identity, why),
        settleSoon: (region) => this.copier.hurry(region),
        unsettledGrew: () => this.copier.changed(),
        confirmByVoters: () => this.driver.confirmByVoters(),
        standingChanged: () => this.standingChanged(),
      },
    );
    const copyIo = new MirrorCopyIo(this.io, clock);
    this.copyIo = Object.assign(copyIo, {
      alone: (work: (done: () => void) => void) => this.copier.pause(() => work(() => this.copier.resume())),
      recopy: (region: number, reached: ReadonlySet<string>) => this.copier.recopy(region, reached),
    });
    this.copier = new Copier(clock, copyIo, ports.buffers, {
      caughtUp: (identity) => this.driver.report({ kind: 'caught-up', identity }),
      fellBack: (identity, why) => this.driver.fellBack(identity, why),
      lost: (identity, why) => this.driver.lost(identity, why),
      allSettled: () => this.whenSettled?.(),
      readableChanged: () => this.noteReadable(),
    });
    this.driver = new MirrorDriver(mirror, new Membership(seed), {
      clock,
      random: () => ports.random(),
      servers: () => ports.servers(),
      newLog: () => ports.newLog(),
      patienceMs: () => ports.settings().mirrorPatienceMs,
      data: {
        setView: (view) => this.setView(view),
        serve: (isClean) => (this.isClean = isClean),
        opened: (identity, attachment, server) => this.opened(identity, attachment, server),
        giveUp: (identity) => this.io.giveUp(identity),
        end: (status, sentence) => this.end(status, sentence),
      },
      detached: () => this.whenDetached?.(),
      ended: (code, sentence) => ports.ended(code, sentence),
      note: (...note) => ports.note(...note),
    });
    this.settingsChanged();
  }

  get volume(): MirrorVolume {
    return this.ports.volume;
  }

  get label(): string {
    return volumeLabel(this.ports.volume);
  }

  get isServing(): boolean {
    return this.hasToldServing && !this.driver.hasEnded;
  }

  /** True if the replicas in sync differ at most in the writes in flight, and neither a detach nor a repair has begun. */
  get isSettled(): boolean {
    const isRepaired = this.isRepair && this.verifier?.isIdle === false;
    return this.isServing && !this.isDetaching && !isRepaired && this.copier.isSettled;
  }

  get view(): MirrorView | null {
    return this.driver.view;
  }

  get status(): AttachedMirrorView {
    const copies = { progress: this.copier.progress(), unreadable: this.copier.unreadable.first };
    return attachedMirrorView(this.label, this.view, copies, (serverid) => this.nameOf(serverid));
  }

  settingsChanged(): void {
    this.noteVotersGone();
    const { resyncRateBytes, verifyRateBytes, mirrorReads } = this.ports.settings();
    const compared = verifyRateBytes === 'auto' ? resyncRateBytes : verifyRateBytes;
    this.copier.setRate(resyncRateBytes === 0 ? null : resyncRateBytes);
    this.verifier?.setRate(compared === 0 ? null : compared);
    this.io.readsAreLocal = mirrorReads === 'local';
  }

  /**
   * Refuses users' I/O, and asks the voters to store that the mirror is cleanly detached (M13). Resolves with true when a majority of the
   * voters has stored the detach. Resolves with false after `waitMs`, or at once if I/O is in flight or unflushed. If the result is false,
   * no user can use the mirror, but the voters have not stored a clean detach. The next attach therefore makes the replicas equal.
   */
  detach(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      let isFinished = false;
      const timer = this.ports.clock.after(waitMs, () => finish(false));
      const finish = (isDone: boolean): void => {
        timer.cancel();
        this.whenSettled = null;
        this.whenDetached = null;
        isFinished = true;
        resolve(isDone);
      };
      this.whenDetached = () => finish(true);
      const ask = (): void => {
        this.whenSettled = null;
        // After the voters have stored that the mirror is detached, nothing may be sent to a replica, not even by the copier.
        this.quiesce(() => {
          if (isFinished) return;
          void this.driver.wish({ kind: 'detach' }).then((refusal) => {
            if (refusal !== '') finish(false);
          });
        });
      };
      this.io.refuseUsers();
      if (this.driver.hasEnded || !this.hasBegun || !this.io.isQuiet) finish(false);
      else if (this.copier.isSettled) ask();
      else this.whenSettled = ask;
    });
  }

  /** Message for a detach that the voters have not stored. */
  get uncleanEnd(): string {
    const { label, status, io } = this;
    const why = status.waitsFor ?? (io.isQuiet ? 'its replicas were still made equal' : 'its last writes are not flushed');
    const loss = io.isQuiet ? '. Nothing is lost; another client needs' : '; another client needs';
    return `${label} is detached here, but its servers have not stored that: ${why}${loss} rsconfig -a --take-over ${label}`;
  }

  /**
   * Grows all counted replicas, and then the mirror (M21). Resolves with '' when users can use the new size, or with the reason if a server
   * refuses. Resolves with null after `waitMs`, but the growth continues.
   */
  grow(sizeBytes: number, waitMs: number): Promise<string | null> {
    if (this.growing?.sizeBytes !== sizeBytes) {
      const growing = { sizeBytes, answer: this.driver.wish({ kind: 'grow', sizeBytes }) };
      this.growing = growing;
      void growing.answer.then(() => {
        if (this.growing === growing) this.growing = null;
      });
    }
    const { answer } = this.growing;
    return within(this.ports.clock, waitMs, answer, () => null);
  }

  /** Stores a note with the voters. Resolves with '' when most of them have it, or with the reason why it may not be stored. */
  keepNote(note: string, waitMs: number): Promise<string> {
    return within(
      this.ports.clock,
      waitMs,
      this.driver.wish({ kind: 'note', note }),
      () => `Most voters did not answer within ${waitMs / 1000} s`,
    );
  }

  /**
   * Starts to compare the replicas. `from`: the server whose replica counts as correct; null for the first replica in sync. Throws E_BUSY
   * during another comparison, E_USAGE if `from` has no replica in sync, and E_VOLUME if fewer than two replicas are in sync.
   */
  verify(isRepair: boolean, from: string | null): void {
    const { label } = this;
    const { clock, buffers } = this.ports;
    if (this.isDetaching) throw new RsError('E_BUSY', `${label} is being detached: attach it again to compare its replicas`);
    if (this.verifier?.isIdle === false)
      throw new RsError('E_BUSY', `The replicas of ${label} are being compared already: rsconfig mirror verify ${label} --stop ends that`);
    const source = from === null ? null : this.inSyncAt(from);
    const inSync = this.view?.replicas.filter(({ role }) => role === 'member') ?? [];
    if (inSync.length < 2) throw new RsError('E_VOLUME', this.nothingToCompare(inSync.map(({ server }) => this.nameOf(server))));
    const verifier = new Verifier(
      clock,
      this.copyIo,
      buffers,
      { isRepair, source },
      {
        lost: (identity, why) => this.driver.lost(identity, why),
      },
    );
    this.verifier = verifier;
    this.isRepair = isRepair;
    this.settingsChanged();
    if (this.view !== null) verifier.setView(this.view);
  }

  get progress(): Progress[] {
    const verifying = progressOfVerification(this.verification);
    return [...progressOfResync(this.status), ...(verifying === null ? [] : [verifying])];
  }

  get settings(): EffectiveVolume {
    return this.ports.settings();
  }

  /** The result of the last comparison; null if there was none since the mirror was attached. */
  get verification(): VerificationView | null {
    const { verifier } = this;
    return verifier === null ? null : verificationView(this.label, verifier.report, (identity) => this.serverOf(identity));
  }

  stopVerifying(): void {
    this.verifier?.stop('It was stopped');
  }

  private nothingToCompare(servers: readonly string[]): string {
    const { label, driver } = this;
    const others = (driver.view?.replicas.length ?? 0) > servers.length;
    const where = servers.length === 0 ? 'No replica' : `Only the replica on ${servers.join(' and ')}`;
    const remedy = others ? `wait for the others (rsconfig mirror list)` : `rsconfig mirror add ${label} --server NAME adds one`;
    return `${where} of ${label} is in sync, so that there is nothing to compare: ${remedy}`;
  }

  private inSyncAt(server: string): string {
    const replica = this.view?.replicas.find((one) => one.role === 'member' && this.nameOf(one.server) === server);
    if (replica !== undefined) return replica.identity;
    throw new RsError('E_USAGE', `Server ${quoteText(server)} has no replica of ${this.label} that is in sync: see rsconfig mirror list`);
  }

  private serverOf(identity: string): string {
    const replica = this.view?.replicas.find((one) => one.identity === identity);
    return replica === undefined ? 'a server that is no member any more' : this.nameOf(replica.server);
  }

  private nameOf(serverid: number): string {
    return this.ports.servers().find((server) => server.serverid === serverid)?.name ?? `server ${serverid}`;
  }

  /**
   * Stops the comparison and then the copier. The order matters, because a comparison with repair resumes the copier when the comparison
   * ends.
   */
  private quiesce(then: () => void): void {
    this.isDetaching = true;
    const pause = (): void => this.copier.pause(then);
    if (this.verifier === null) pause();
    else this.verifier.stop('The mirror is detached', pause);
  }

  /** Ends all sessions, whether the mirror is detached or not. All later I/O fails. */
  async stop(): Promise<void> {
    this.end(STATUS.IO_ERROR, 'Detached');
    await new Promise<void>((resolve) => {
      // An unreachable server gets the CLOSE when a path to it is up again, so the wait is limited.
      const timer = this.ports.clock.after(CLOSE_WAIT_MS, resolve);
      void this.driver.stop().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  private end(status: number, sentence: string): void {
    this.verifier?.stop(sentence);
    this.copier.end();
    this.io.end(status, sentence);
  }

  private opened(identity: string, attachment: Attachment, { trunk, name }: DriverServer): void {
    this.io.addReplica(new Replica(identity, attachment, trunk, name));
    this.copier.changed();
    this.tellServing();
  }

  private setView(view: MirrorView): void {
    if (view.isServing && !this.hasBegun) {
      this.hasBegun = true;
      this.copier.begin(this.isClean === true, view.sizeBytes);
    }
    const fromBytes = this.io.volume?.sizeBytes ?? null;
    // The copier gets the view before the data path. If the mirror has grown, the copier must mark the new part of the mirror before users
    // can write to that part.
    this.copier.setView(view);
    this.io.setView(view);
    this.verifier?.setView(view);
    for (const { identity, role, session } of view.replicas) {
      if (role === 'joining' && session === 'open') this.flush(identity);
    }
    this.tellServing();
    if (this.hasToldServing && fromBytes !== null && view.sizeBytes > fromBytes) this.ports.grown(fromBytes);
  }

  /** Reports once that the mirror serves I/O. The size is known only when a replica is open, possibly after the claim. */
  private tellServing(): void {
    if (this.hasToldServing || !this.hasBegun || this.io.volume === null) return;
    this.hasToldServing = true;
    this.ports.serving();
  }

  /** Flushes a joining replica before it counts as in sync (M12, 5). */
  private flush(identity: string): void {
    if (this.flushing.has(identity)) return;
    this.flushing.add(identity);
    const tenure = this.io.tenureOf(identity);
    this.io.flushAt(identity, (status) => {
      this.flushing.delete(identity);
      if (status === STATUS.OK && tenure !== null && this.io.tenureOf(identity) === tenure)
        this.driver.report({ kind: 'joined-flushed', identity });
      else this.driver.lost(identity, 'It could not be flushed before it was in sync');
    });
  }

  /**
   * Adds an event for each voter whose server has been removed from the client's configuration file. While the mirror is attached, only the
   * server of a witness can be removed.
   */
  private noteVotersGone(): void {
    const before = this.servers;
    this.servers = new Map(this.ports.servers().map(({ serverid, name }) => [serverid, name]));
    const remedy = 'add it again, or name another one with rsconfig mirror witness';
    const sentence = `The server votes for the mirror, and this client cannot reach it any more: ${remedy}`;
    for (const name of votersGone(this.view, before, this.servers))
      this.ports.note(`voter on server ${name}`, 'configured', 'removed', sentence);
  }

  private noteReadable(): void {
    const unreadable = this.copier.unreadable.first;
    const [from, to] = unreadable === null ? ['stuck', 'going on'] : ['going on', 'stuck'];
    this.ports.note('copying', from, to, unreadable === null ? 'All of it was read' : unreadableText(unreadable));
  }

  private standingChanged(): void {
    this.driver.look();
    this.copier.changed();
  }
}
