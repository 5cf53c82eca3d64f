// Reports each change in the daemon as an event and as a line in the log. Invariants: each change is reported once. While attempts to open
// a path keep failing, a failure is reported only if its reason differs from that of the previous failure.

import type { EventsParams, EventsResult, EventView } from '@rsio/common/control/method-table';
import { CUT_STATE } from '@rsio/api/rsiod/methods';
import { EventHistory, type EventStore } from '@rsio/common/events/event-history';
import type { Clock } from '@rsio/base/lib/clock';
import { plural } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { PathState } from '@rsio/base/lib/path-states';
import { labelOf } from '../attachments/offers.ts';
import type { Route } from '../network/namespace.ts';
import type { Server } from '../network/server.ts';
import type { InterfaceEvent } from '../sys/interface-table.ts';
import type { Volume, VolumeEvent } from '../volumes/volume.ts';
import { BatchedLines, IncarnationEvents } from './batched-lines.ts';
import { stallNotification } from './views.ts';

export class Notifications {
  private readonly events: EventHistory;
  private readonly pathEvents = new PathEvents();
  private readonly log: Log;
  private readonly clock: Clock;
  private readonly incarnationEvents: IncarnationEvents;
  private readonly lines: BatchedLines;

  /** `store` keeps the events across restarts. If `store` is null, events are kept only in memory. `heard` is called with each event. */
  constructor(log: Log, clock: Clock, store: EventStore | null, heard: (event: EventView) => void) {
    this.events = new EventHistory(clock, store);
    this.events.heard = heard;
    this.log = log;
    this.clock = clock;
    this.lines = new BatchedLines(clock);
    this.incarnationEvents = new IncarnationEvents(clock, (server, sentence) => {
      this.add(`server ${server}`, 'storage', 'new life', sentence);
      this.log.warn(`Server ${server}: ${sentence}`);
    });
  }

  /** Throws E_LIMIT. */
  read(wanted: EventsParams): Promise<EventsResult> {
    return this.events.read(wanted);
  }

  /** Adds an event, but writes no line to the log. */
  add(object: string, from: string, to: string, reason: string): void {
    this.events.add({ object, from, to, reason });
  }

  /** The file namespace.ts logs the errors of paths, so this method does not. */
  pathChanged({ local, remote, port, supervisor }: Route, from: PathState, to: PathState, reason: string): void {
    const path = `path ${local.name} ${remote.address}/${port}`;
    if (this.pathEvents.isEvent(path, from, to, reason)) this.add(path, from, to, reason);
    if (to === 'up' && from === 'proving')
      this.log.child({ path: `${supervisor.lastNumber}-${local.name}-tx0` }).info(`started transmit for rep ${remote.address}/${port}`);
  }

  interfaceChanged({ address, change, sentence }: InterfaceEvent): void {
    this.add(`interface ${address}`, '-', change, sentence);
    this.log.warn(sentence);
  }

  /** Reports that a volume's I/O waits, is abandoned or resumes, or that the volume's storage fails or works again. */
  stalled(volume: Volume, event: VolumeEvent): void {
    const { from, to, sentence } = stallNotification(volume, event, this.clock);
    if (from !== to) this.add(`volume ${labelOf(volume)}`, from, to, sentence);
    const line = `Volume ${labelOf(volume)}: ${sentence}`;
    if (event === 'gave-up' || event === 'storage-fails' || event === 'storage-fails-on') {
      this.log.error(line);
      return;
    }
    const write = (text: string): void => (event === 'waits' || event === 'stands-still' ? this.log.warn(text) : this.log.info(text));
    this.lines.add(
      `${event} ${sentence}`,
      () => write(line),
      (count) => write(`${plural(count, 'more volume')}: ${sentence}; rsconfig -l shows which volumes wait`),
    );
  }

  /** Reports the loss caused by a forced detach of the volume. rsconfig shows this event to the administrator. */
  cut(volume: Volume, sentence: string): void {
    this.add(`volume ${labelOf(volume)}`, 'attached', CUT_STATE, sentence);
    this.log.warn(`${labelOf(volume)}: ${sentence}`);
  }

  sessionBegan({ name }: Server, again: boolean): void {
    this.add(`server ${name}`, again ? 'lost' : '-', 'session', again ? 'A new session replaces the lost one' : '');
    this.log.info(`Server ${name}: ${again ? 'a new session replaces the lost one' : 'session started'}`);
  }

  opened(server: Server, attachment: Attachment, again: boolean, newLife: boolean): void {
    const { name } = attachment;
    if (again)
      this.lines.add(
        `open ${server.name}`,
        () => this.log.info(`Volume ${name} of server ${server.name} is open again`),
        (count) => this.log.info(`${plural(count, 'more volume')} of server ${server.name}: open again`),
      );
    const what = newLife ? sentAgain(attachment) : null;
    if (newLife && what === null)
      this.incarnationEvents.add(server.name, labelOf({ namespace: server.namespace, name, universe: attachment.universe }));
    const lost = what === null ? '' : `The storage has started a new incarnation: ${what}`;
    if (what !== null) this.log.warn(`Volume ${name} of server ${server.name}: ${lost}`);
    if (!again || newLife) this.add(volumeOf(server, attachment), again ? 'waiting' : '-', 'open', lost);
  }

  openFailed(server: Server, attachment: Attachment, sentence: string): void {
    const { name, volume } = attachment;
    const wasOpen = volume !== null;
    this.add(volumeOf(server, attachment), wasOpen ? 'open' : '-', wasOpen ? 'lost' : 'failed', sentence);
    const end = wasOpen ? ': the volume is detached and its I/O fails; attach it again with rsconfig -a' : '';
    this.log.error(`Volume ${name} of server ${server.name}: ${sentence}${end}`);
  }

  grown(server: Server, attachment: Attachment, fromBytes: number): void {
    const { name, volume } = attachment;
    const toBytes = volume?.sizeBytes ?? fromBytes;
    this.add(volumeOf(server, attachment), `${fromBytes} bytes`, `${toBytes} bytes`, `Server ${server.name} has enlarged it`);
    this.log.info(
      `Volume ${name} of server ${server.name} has grown from ${fromBytes} to ${toBytes} bytes: NBD clients must reconnect to see the new size`,
    );
  }

  openWaits(server: Server, attachment: Attachment, sentence: string): void {
    const { name } = attachment;
    this.add(volumeOf(server, attachment), 'open', 'waiting', sentence);
    this.log.warn(`Volume ${name} of server ${server.name} waits: ${sentence}`);
  }
}

/** Events name a volume by its label, because another namespace or universe may have a volume with the same name. */
function volumeOf({ namespace }: Server, { name, universe }: Attachment): string {
  return `volume ${labelOf({ namespace, name, universe })}`;
}

/** Describes the writes that the client replays to the new incarnation. Returns null if nothing is replayed. */
function sentAgain({ phase, log }: Attachment): string | null {
  if (phase !== 'replaying' || log === null) return null;
  const ranges = log.rangeBytes > 0 ? `, and ${log.rangeBytes} bytes are zeroed or discarded again` : '';
  return `${log.dataBytes} unflushed bytes are sent again${ranges}`;
}

export class PathEvents {
  /**
   * Key: a path. Value: the reason why the last attempt to open the path failed. An entry exists from the first failure until the path
   * comes up.
   */
  private readonly failures = new Map<string, string>();

  isEvent(path: string, from: PathState, to: PathState, reason: string): boolean {
    const failure = this.failures.get(path);
    const isTry = to === 'connecting' || to === 'proving';
    if (isTry) return failure === undefined;
    if (to === 'down' && (from === 'connecting' || from === 'proving')) {
      this.failures.set(path, reason);
      return failure !== reason;
    }
    this.failures.delete(path);
    return true;
  }
}
