// Watches the interfaces that have the client's addresses. A child process `ip monitor` reports changes, and is restarted with growing
// pauses when it exits. Without iproute2, this file polls the addresses and carriers instead. Invariant: after each start of the monitor,
// all addresses and links are listed once, so that no change is missed.

import { Backoff } from '@rsio/base/lib/backoff';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { type InterfaceEvent, InterfaceTable, type IpFact, readIpLine } from './interface-table.ts';
import { CARRIER_POLL_MS, MONITOR_RESTART_MAX_MS, MONITOR_RESTART_MIN_MS } from './limits.ts';

/** Provides facts about the machine to the watcher. The real implementation is in sys/machine-interfaces.ts. */
export interface InterfaceSource {
  /** Starts `ip monitor`. Calls `ended` once, when the monitor has exited; `isAbsent` is true if the program `ip` does not exist. */
  monitor(onLine: (line: string) => void, ended: (reason: string, isAbsent: boolean) => void): { stop(): void };
  /** Returns the lines of `ip address` and `ip link`. Throws when `ip` fails. */
  list(): Promise<string[]>;
  /** Returns facts from /sys and the C library, not from `ip`: the addresses of interfaces that are up, and all carriers. */
  look(): IpFact[];
}

export interface InterfaceWatcherPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly source: InterfaceSource;
  changed(event: InterfaceEvent): void;
}

export class InterfaceWatcher {
  private readonly table: InterfaceTable;
  private readonly ports: InterfaceWatcherPorts;
  private readonly backoff = new Backoff(MONITOR_RESTART_MIN_MS, MONITOR_RESTART_MAX_MS, () => 0);
  private monitor: { stop(): void } | null = null;
  private timer: Timer | null = null;
  private isRunning = false;
  private isStopped = false;

  constructor(addresses: Iterable<string>, ports: InterfaceWatcherPorts) {
    this.table = new InterfaceTable(addresses);
    this.ports = ports;
  }

  /** Starts watching, unless all addresses are loopback addresses. */
  start(): void {
    if (this.table.isEmpty) return;
    this.isRunning = true;
    this.startMonitor();
  }

  watch(addresses: Iterable<string>): void {
    const isIdle = this.table.isEmpty;
    this.table.watch(addresses);
    if (isIdle && !this.isRunning) this.start();
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.monitor?.stop();
    this.monitor = null;
  }

  private startMonitor(): void {
    const { source, clock, log } = this.ports;
    const startMs = clock.monotonicMs();
    this.monitor = source.monitor(
      (line) => {
        const fact = readIpLine(line);
        if (fact !== null) this.report(this.table.take(fact));
      },
      (reason, isAbsent) => {
        this.monitor = null;
        if (this.isStopped) return;
        if (isAbsent) {
          log.info('The program ip (iproute2) is missing: interface carriers are polled every 100 ms instead');
          this.poll();
          return;
        }
        if (clock.monotonicMs() - startMs > MONITOR_RESTART_MAX_MS) this.backoff.reset();
        const restartMs = this.backoff.nextMs();
        log.warn(`ip monitor has ended (${reason}): it is restarted in ${Math.round(restartMs)} ms`);
        this.timer = clock.after(restartMs, () => this.startMonitor());
      },
    );
    source.list().then(
      (lines) => this.report(this.table.takeAll(lines.map(readIpLine).filter((fact) => fact !== null))),
      () => this.look(),
    );
  }

  /** Polls once without `ip`. A poll does not find all addresses, so a missing address is not reported as gone. */
  private look(): void {
    this.report(this.table.takeLook(this.ports.source.look()));
  }

  private poll(): void {
    const { clock } = this.ports;
    this.look();
    this.timer = clock.after(CARRIER_POLL_MS, () => this.poll());
  }

  private report(events: readonly InterfaceEvent[]): void {
    if (this.isStopped) return;
    for (const event of events) this.ports.changed(event);
  }
}
