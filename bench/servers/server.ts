// A server that is measured: a process on chosen cores that offers the data file. A server counts as started when it accepts connections.
// Invariant: a server that does not listen in time is stopped.

import { spawnSync } from 'node:child_process';
import { Child } from '../child.ts';
import type { Target } from '../load/orders.ts';
import { processTree } from '../proc.ts';
import type { ServerId } from '../workload.ts';

/** Parameters for the start of a server. */
export interface Setting {
  /** Folder for everything except the data file. */
  readonly directory: string;
  readonly file: string;
  readonly core: number;
}

export interface Server {
  readonly id: ServerId;
  /** Name of the server and its variant, such as its way of accessing the file. */
  readonly title: string;
  readonly pid: number;
  readonly target: Target;
  processes(): number[];
  /** Pins all threads of the server, including threads that start later. */
  pin(cores: readonly number[]): void;
  stop(): Promise<void>;
}

/** A kind of server. Says what the kind needs to be installed, and how to start the server. */
export interface Maker {
  readonly id: ServerId;
  /** Required program and its Debian package; null: the server is part of this repository. */
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

/** Starts a program that must listen on the address, and stops the program if it does not listen in time. */
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
