// A server that is measured, of whatever make: a process on chosen cores that offers the data file, waited for until it takes connections.
// Invariant: one that does not listen in time is stopped.

import { spawnSync } from 'node:child_process';
import { Child } from '../child.ts';
import type { Target } from '../load/orders.ts';
import { processTree } from '../proc.ts';
import type { ServerId } from '../workload.ts';

/** What a server is started with. */
export interface Setting {
  /** For what it needs besides the data file. */
  readonly directory: string;
  readonly file: string;
  /** Those of its rows. */
  readonly core: number;
}

export interface Server {
  readonly id: ServerId;
  /** With what is particular about it, such as its way to the file. */
  readonly title: string;
  readonly pid: number;
  readonly target: Target;
  /** The processes that serve: all of the server. */
  processes(): number[];
  /** All of its threads, now and those to come. */
  pin(cores: readonly number[]): void;
  stop(): Promise<void>;
}

/** A kind of server: whether it is here, and how it is started. */
export interface Maker {
  readonly id: ServerId;
  /** Program that must be there, and the Debian package that has it; null: ours. */
  readonly needs: { readonly program: string; readonly debianPackage: string } | null;
  start(setting: Setting): Promise<Server>;
}

export function runningServer(id: ServerId, title: string, child: Pick<Child, 'pid' | 'stop'>, target: Target): Server {
  return {
    id,
    title,
    pid: child.pid,
    target,
    processes: () => processTree(child.pid),
    pin: (cores) => {
      for (const pid of processTree(child.pid)) spawnSync('taskset', ['-a', '-c', '-p', cores.join(','), String(pid)]);
    },
    stop: () => child.stop(),
  };
}

/** Starts a program that is to listen there; stops it when it does not. */
export async function startListening(
  name: string,
  core: number,
  [command, ...args]: readonly [string, ...string[]],
  host: string,
  port: number,
): Promise<Child> {
  const child = new Child(name, core, command, args);
  try {
    await child.listening(host, port);
    return child;
  } catch (error) {
    await child.stop();
    throw error;
  }
}
